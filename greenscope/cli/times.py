"""A time that the user gives: since the ring began, with a unit or in seconds."""

from __future__ import annotations

import re

import click

__all__ = ["Time"]

_UNITS = {"ns": 1, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9}


class Time(click.ParamType):  # type: ignore[type-arg]  # generic in newer releases only
    """Nanoseconds, given as 1.5s, 200ms, 30us, 2m; without a unit, seconds."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Nanoseconds."""
        match = re.fullmatch(r"([0-9]{1,19}(?:\.[0-9]{1,9})?)(ns|us|µs|ms|s|m|h)?", str(value))
        if match is None:
            self.fail(f"{value!r} is not a time: 1.5s, 200ms, 30us, 2m; without a unit, seconds", param, ctx)
        return round(float(match[1]) * _UNITS[match[2] or "s"])
