"""Sums by key and stretch of time: what is kept, what is forgotten, and where something went on."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from greenscope.trace.analysis.series import Covered, Series, stretches

batches = st.lists(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 40), st.integers(-3, 9)), max_size=8))


@given(batches)
def test_the_sums_are_those_of_the_last_stretches(batches: list[list[tuple[int, int, int]]]):
    series, newest, expected = Series(10, 4), 0, Counter[tuple[int, int]]()
    at = 0
    for batch in batches:
        rows = []
        for key, later, amount in batch:
            at += later
            rows.append((key, at, amount))
            expected[key, at // 10] += amount
            newest = at // 10
        keys, times, amounts = (np.array([row[column] for row in rows], np.int64) for column in range(3))
        series.add(keys, times, amounts)
    for key in range(1, 6):
        assert series.of(key).tolist() == [expected[key, number] for number in range(newest - 3, newest + 1)]


def test_who_is_behind_a_key_is_who_was_named_last():
    series = Series(10, 4)
    series.add(np.array([7, 8, 7]), np.array([0, 0, 1]), 1, np.array([1, 2, 3]))
    assert (series.about(7), series.about(8)) == (3, 2)


def test_of_too_many_keys_the_larger_ones_are_kept():
    series = Series(10, 4, most=8)
    series.add(np.arange(1, 10), np.zeros(9, np.int64), np.arange(1, 10), np.arange(101, 110))
    assert sorted(series.keys) == [6, 7, 8, 9]
    assert [(series.of(key)[-1], series.about(key)) for key in (6, 9)] == [(6, 106), (9, 109)]
    series.add(np.array([3]), np.array([5]), 2)
    assert series.of(3).tolist() == [0, 0, 0, 2]


def test_what_is_known_of_a_stretch_is_how_much_of_it_was_read():
    covered = Covered(10, 4)
    covered.add_time(3, 8)
    covered.add_time(8, 21)
    assert covered.known.tolist() == [0, 7, 10, 1]
    covered.add_time(1000, 1035)
    assert covered.known.tolist() == [10, 10, 10, 5]


def test_a_stretch_goes_on_over_a_few_misses_and_over_what_is_not_known():
    high = np.array([c == "#" for c in "#.#...##??????#"])
    known = np.array([c != "?" for c in "#.#...##??????#"])
    assert stretches(high, known, forgiven=2) == [(0, 3), (6, 15)]


def test_what_is_older_than_all_stretches_is_dropped_also_when_there_is_nothing_else():
    series = Series(10, 4)
    series.add(np.array([7]), np.array([500]))
    series.add(np.array([7, 8]), np.array([3, 4]))
    assert series.of(7).tolist() == [0, 0, 0, 1]
