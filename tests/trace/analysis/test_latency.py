"""The two measures of promptness."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from greenscope.trace.analysis.latency import AwaySeries, LatencyHistogram

SECOND = 1_000_000_000


def add(measure: LatencyHistogram | AwaySeries, first: int, second: int) -> None:
    measure.add(np.array([first]), np.array([second]))


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.99]))
def test_a_quantile_is_within_seven_percent(latencies: list[int], share: float) -> None:
    histogram = LatencyHistogram()
    for latency in latencies:
        add(histogram, SECOND, latency)
    exact = sorted(latencies)[max(-int(-len(latencies) * share // 1), 1) - 1]
    assert exact * 0.93 - 1 <= histogram.quantile(share, SECOND) <= exact


def test_only_the_last_seconds_count() -> None:
    histogram = LatencyHistogram(seconds=10)
    add(histogram, SECOND, 1_000_000)
    add(histogram, 8 * SECOND, 16)
    assert histogram.quantile(0.99, 9 * SECOND) > 900_000
    assert histogram.quantile(0.99, 15 * SECOND) == 16
    assert histogram.quantile(0.99, 60 * SECOND) == 0


def test_an_absence_shows_in_every_tenth_of_a_second_it_touches() -> None:
    series = AwaySeries(start=0)
    add(series, 50_000_000, 60_000_000)
    add(series, 250_000_000, 420_000_000)
    width, first, values = series.values(0, SECOND // 2, 1000)
    assert (width, first) == (SECOND // 10, 0)
    assert values == [10_000_000, 0, 170_000_000, 170_000_000, 170_000_000, 0]


def test_a_long_recording_is_thinned_to_the_greatest() -> None:
    series = AwaySeries(start=0)
    for second in range(10_000):
        add(series, second * SECOND, second * SECOND + second)
    width, first, values = series.values(0, 10_000 * SECOND, 100)
    assert 50 <= len(values) <= 100
    assert first == 0
    assert max(values) == 9999
    assert values[0] == width // SECOND - (width % SECOND == 0)


def test_a_leap_in_time_costs_no_memory() -> None:
    series = AwaySeries(start=0)
    add(series, 0, 5)
    add(series, 1 << 61, (1 << 61) + 7)
    _, _, values = series.values(0, 1 << 61, 1000)
    assert (values[0], max(values)) == (5, 7)
