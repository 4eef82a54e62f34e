"""The two measures of promptness."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from greenscope.trace.analysis.latency import AwaySeries, LatencyHistogram, LoadSeries

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


@given(
    st.lists(st.tuples(st.integers(0, 300), st.booleans()), max_size=60),
    st.integers(1, 9),
    st.integers(0, 400),
    st.sets(st.integers(0, 20)),
)
def test_a_load_is_the_share_of_each_second_however_the_polls_come(
    polls: list[tuple[int, bool]], piece: int, later: int, lost: set[int]
) -> None:
    times = np.cumsum([gap for gap, _ in polls], dtype=np.int64)
    ended = np.array([each for _, each in polls], bool)
    series = LoadSeries(start=0, width=100, count=20)
    state: list[bool | None] = []
    away: bool | None = True
    for number, at in enumerate(range(0, len(times), piece)):
        if number in lost:
            series.lose()
        series.add(ended[at : at + piece], times[at : at + piece])
        for index, (time, over) in enumerate(zip(times[at : at + piece], ended[at : at + piece], strict=True)):
            known = away if index or number not in lost else None
            state += [known] * (int(time) - len(state))
            away = bool(over)
    now = (int(times[-1]) if len(times) else 0) + later
    state += [away] * (now - len(state))
    expected = []
    for number in range(now // 100 - 19, now // 100 + 1):
        seen = [each for each in state[max(number, 0) * 100 : max(number + 1, 0) * 100] if each is not None]
        expected.append(sum(seen) / len(seen) if seen else None)
    assert series.shares(now, 20) == expected
    known = [each for each in state[max(now // 100 - 4, 0) * 100 :] if each is not None]
    assert series.share(now, 5) == (sum(known) / len(known) if known else None)


def test_a_load_that_was_lost_is_not_known_until_the_next_poll() -> None:
    series = LoadSeries(start=0)
    series.add(np.array([False, True]), np.array([SECOND // 2, SECOND]))
    assert series.shares(3 * SECOND, 4) == [0.5, 1.0, 1.0, None]
    series.lose()
    assert series.shares(3 * SECOND, 4) == [0.5, None, None, None]
    assert series.share(3 * SECOND, 2) is None
