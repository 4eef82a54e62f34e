"""Things that begin and end: counted in columns as one would count them one by one."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from greenscope.trace.analysis.population import Population, Things

WIDTH = 10
events = st.tuples(st.integers(1, 6), st.booleans(), st.integers(0, 3))
"""Number, whether it begins, at which line."""


def things(batch: list[tuple[int, bool, int]], at: int = 0) -> Things:
    number, begins, site = (np.array([event[column] for event in batch], np.int64) for column in range(3))
    return Things(number, begins.astype(bool), np.full(len(batch), at, np.int64), number + 100, site, number * 10)


@given(st.lists(st.lists(events, max_size=12)))
def test_it_counts_as_one_does_who_looks_at_one_event_after_the_other(batches: list[list[tuple[int, bool, int]]]):
    population = Population(WIDTH, 100)
    going_on: dict[int, int] = {}
    begun, ended = Counter[int](), Counter[int]()
    for number, batch in enumerate(batches):
        expected = []
        met: set[int] = set()
        for index, (thing, begins, site) in enumerate(batch):
            was = going_on.pop(thing, None)
            if was:
                ended[was] += 1
            if begins:
                going_on[thing] = site
                begun[site] += bool(site)
            elif was is not None:
                expected.append((index, thing + 100, was, thing * 10))
            elif thing not in met:
                ended[0] += 1
            met.add(thing)
        found = population.add(things(batch, number * WIDTH))
        assert sorted(zip(*(column.tolist() for column in found), strict=True)) == expected
    for site in range(1, 4):
        assert (population.begun.of(site).sum(), population.ended.of(site).sum()) == (begun[site], ended[site])
        on = sorted(thing for thing, where in going_on.items() if where == site)
        assert population.going_on(site)["number"].tolist() == on
    assert population.ended.of(0).sum() == ended[0]
    assert population.site_of(np.arange(1, 7)).tolist() == [going_on.get(thing, 0) for thing in range(1, 7)]


def test_after_a_loss_an_end_is_one_whose_beginning_was_not_seen():
    population = Population(WIDTH, 100)
    population.add(things([(1, True, 2)]))
    population.lose()
    assert len(population.add(things([(1, False, 0)])).which) == 0
    assert (population.ended.of(0).sum(), population.ended.of(2).sum()) == (1, 0)
