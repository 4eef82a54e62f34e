"""The standard library's time, with a sleep that yields."""

from __future__ import annotations

import time as stdlib

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import time


def test_sleep_lets_others_run_and_lasts_long_enough(hub):
    order = []
    sleeper = runtime.spawn(lambda: (time.sleep(0.01), order.append("sleeper")))
    other = runtime.spawn(lambda: (time.sleep(0), order.append("other")))
    began = stdlib.monotonic()
    runtime.joinall([sleeper, other])
    assert stdlib.monotonic() - began >= 0.01
    assert order == ["other", "sleeper"]


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (-1, ValueError),
        (-0.001, ValueError),
        (float("nan"), ValueError),
        (float("inf"), OverflowError),
        (1e30, OverflowError),
        ("1", TypeError),
        (None, TypeError),
    ],
)
@pytest.mark.parametrize("module", [stdlib, time])
def test_bad_times_are_refused_as_ever(module, bad, error, hub):
    with pytest.raises(error):
        module.sleep(bad)


def test_the_rest_is_the_standard_librarys():
    for name in ("monotonic", "time", "perf_counter", "localtime", "strftime", "struct_time"):
        assert getattr(time, name) is getattr(stdlib, name)
        assert name in time.__all__
