"""Colours of ``greenscope top``: those of the dashboard, on dark and on light.

What a colour says is also said in words, so that it can go without: with ``NO_COLOR`` there is none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from textual.theme import BUILTIN_THEMES, Theme

from greenscope.trace.analysis.diagnoses import Severity

__all__ = ["COLOURLESS", "DARK", "LIGHT", "THEMES", "Looks"]


@dataclass(frozen=True, slots=True)
class Looks:
    """Styles of texts, as rich has them, and the theme of what is around."""

    theme: str
    text: str
    soft: str
    accent: str
    states: dict[str, str]
    severities: dict[Severity, str]
    alarm: str
    live: str
    held: str


def _looks(theme: str, text: str, soft: str, accent: str, live: str, ready: str, warn: str, alarm: str) -> Looks:
    return Looks(
        theme=theme,
        text=text,
        soft=soft,
        accent=accent,
        states={"running": live, "ready": ready, "waiting": text, "spawned": soft},
        severities={Severity.CRITICAL: f"bold {alarm}", Severity.WARNING: warn, Severity.NOTE: soft},
        alarm=f"bold {alarm}",
        live=live,
        held=f"bold {warn}",
    )


DARK = _looks(
    "greenscope-dark", "#eef2f6", "#9eaab6", "#56b4e9", live="#2bd49b", ready="#f0e442", warn="#f0b429", alarm="#ff8a4c"
)
LIGHT = _looks(
    "greenscope-light",
    "#1a2027",
    "#55606b",
    "#00639c",
    live="#00805c",
    ready="#7a6a00",
    warn="#8a5a00",
    alarm="#b44a00",
)
COLOURLESS = Looks(
    theme="greenscope-plain",
    text="default",
    soft="default",
    accent="default",
    states={"running": "bold", "ready": "bold", "waiting": "default", "spawned": "default"},
    severities={Severity.CRITICAL: "bold", Severity.WARNING: "default", Severity.NOTE: "default"},
    alarm="bold reverse",
    live="default",
    held="bold reverse",
)

THEMES = (
    Theme(
        name=DARK.theme,
        primary="#56b4e9",
        secondary="#cc79a7",
        warning="#f0b429",
        error="#ff8a4c",
        success="#2bd49b",
        accent="#56b4e9",
        foreground="#eef2f6",
        background="#0d1117",
        surface="#151a21",
        panel="#1c232c",
        variables={"rule": "#46515e", "cursor": "#2a3d52", "soft": DARK.soft},
    ),
    Theme(
        name=LIGHT.theme,
        primary="#00639c",
        secondary="#cc79a7",
        warning="#8a5a00",
        error="#b44a00",
        success="#00805c",
        accent="#00639c",
        foreground="#1a2027",
        background="#f3f5f7",
        surface="#ffffff",
        panel="#e6ebf0",
        dark=False,
        variables={"rule": "#a9b4bf", "cursor": "#cfe3f2", "soft": LIGHT.soft},
    ),
    replace(
        BUILTIN_THEMES["ansi-dark"],
        name=COLOURLESS.theme,
        variables={
            **BUILTIN_THEMES["ansi-dark"].variables,
            **dict.fromkeys(("rule", "cursor", "soft"), "ansi_default"),
        },
    ),
)
