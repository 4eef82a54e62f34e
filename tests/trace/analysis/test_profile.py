"""Profiles against sums that a loop makes of the spans, one at a time; and what a profile does with many of a thing."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenscope.trace.analysis import POLL, Span, State, Timeline
from greenscope.trace.analysis import load as load_module
from greenscope.trace.analysis.grouped import Grouped
from greenscope.trace.analysis.load import HubLoad
from greenscope.trace.analysis.profile import ACCEPT, READY, RUNNING, By, Part, Profile, part_of
from greenscope.trace.analysis.profile_rows import folded, rows_of
from greenscope.trace.analysis.spans import SPAN
from greenscope.trace.analysis.spread import Spread
from greenscope.trace.events import NO_FD, Kind, Ready, Spawn, Wait, Watch, pack
from greenscope.trace.records import Event, Gap, Site
from tests.trace.analysis.batches import apply, batch
from tests.trace.analysis.reference import ReferenceTimeline
from tests.trace.analysis.test_fold import programs

MS = 1_000_000
HUB = 1
READIES = [Ready.WATCHER, Ready.GREENLET, Ready.TIMEOUT, Ready.KILL, Ready.CLOSE, Ready.YIELD, Ready.OTHER]


class Numbers:
    """Sites of which several are one line, and of those some one stack."""

    def site(self, number: int) -> Site | None:
        if number == 0:
            return None
        return Site("app.py", number % 7, "f", number // 2 if number % 3 else 0)

    def stack(self, number: int) -> list[Site]:
        frames = []
        while (site := self.site(number)) is not None:
            frames.append(site)
            number = site.caller
        return frames


NUMBERS = Numbers()


def name(number: int) -> str:
    return f"name {number % 3}"


@st.composite
def many_kinds(draw: st.DrawFn) -> list[Event]:
    """Programs whose greenlets wait for all kinds of things, and are woken by all kinds."""
    events = draw(programs())
    for index, event in enumerate(events):
        if event.kind == Kind.GREENLET_READY and event.reason != Ready.SPAWN:
            reason = draw(st.sampled_from(READIES))
            by = event.arg if reason == Ready.WATCHER else draw(st.sampled_from([2, event.greenlet]))
            events[index] = event._replace(reason=reason, arg=by)  # somebody who has his name
        elif event.kind == Kind.GREENLET_PARK:
            events[index] = event._replace(reason=draw(st.sampled_from([*Wait, 200])))
        elif event.text == "10.0.0.1":
            events[index] = event._replace(text="listening 10.0.0.1")
    return events


# -- one span at a time ------------------------------------------------------------------------------


@dataclass
class Total:
    """What the loop sums up."""

    total: int = 0
    count: int = 0
    still: int = 0
    longest: int = 0

    def add(self, ns: int, still: bool) -> None:
        self.total += ns
        self.count += 1
        self.still += still
        self.longest = max(self.longest, ns)


def history(reference: ReferenceTimeline, now: int) -> Iterator[tuple[int, str, list[tuple[Span, bool]]]]:
    """Each greenlet's spans, and whether they go on."""
    for number, lane in reference.lanes.items():
        spans = [(span, False) for span in lane.spans]
        if lane.open is not None:
            spans.append((replace(lane.open, end=max(now, lane.open.start)), True))
        yield number, lane.name, spans


def reason_of(span: Span) -> int:
    if span.state is State.READY:
        return READY
    if span.state is not State.WAITING:
        return RUNNING
    if span.reason == Wait.READ and span.peer.startswith("listening "):
        return ACCEPT
    return span.reason if span.reason <= max(Wait) else Wait.OTHER


def place(site: int, by: By) -> object:
    if by is By.STACK:
        return tuple((frame.file, frame.line) for frame in NUMBERS.stack(site))
    found = NUMBERS.site(site)
    return None if found is None else (found.file, found.line)


def naive(by: By, reference: ReferenceTimeline, begin: int, end: int, now: int) -> dict[tuple[object, ...], Total]:
    found: dict[tuple[object, ...], Total] = defaultdict(Total)
    names = {number: lane.name for number, lane in reference.lanes.items()}
    for number, called, spans in history(reference, now):
        for index, (span, goes_on) in enumerate(spans):
            ns = min(span.end, end) - max(span.start, begin)
            touches = span.start < end and (span.end > begin or span.start >= begin)
            waits, reason = span.state is State.WAITING, reason_of(span)
            site = span.site or reference.lanes[number].spawn_site
            key: tuple[object, ...] | None = None
            if by in {By.LINE, By.STACK} and waits and number != HUB:
                key = reason, place(site, by)
            elif by is By.REASON and (waits or number != HUB):
                key = (reason,)
            elif by is By.PEER and waits and span.reason in {Wait.READ, Wait.WRITE}:
                key = reason, span.peer
            elif by is By.RESOURCE and waits and span.reason not in {Wait.TIMER, Wait.YIELD, POLL}:
                fd = NO_FD if span.fd < 0 else span.fd
                resource = span.resource if span.fd < 0 else 0
                key = (reason, resource, fd, span.peer) if resource or span.fd >= 0 else None
            elif (by, reason) in {(By.LATENCY, READY), (By.LOAD, RUNNING)}:
                key = (called,)
            elif by is By.WAKER and waits and number != HUB and index + 1 < len(spans):
                then = spans[index + 1][0]
                woken = then.state is State.READY and then.start == span.end and begin <= then.start < end
                if woken and then.reason != Ready.YIELD:
                    key = then.reason, waker(then, span, names), called, reason, place(site, by)
                    found[key].add(then.start - max(span.start, begin), False)
                continue
            if key is not None and touches:
                found[key].add(ns, goes_on or span.end > end)
    return found


def waker(ready: Span, wait: Span, names: dict[int, str]) -> str:
    if ready.reason in {Ready.GREENLET, Ready.KILL, Ready.CLOSE}:
        return names.get(ready.by, "?")
    if ready.reason == Ready.WATCHER and wait.reason in {Wait.READ, Wait.WRITE}:
        return wait.peer or ("" if wait.fd < 0 else f"fd {wait.fd}")
    return ""


def in_words(profile: Profile) -> dict[tuple[object, ...], Total]:
    """A profile's sums, by what its keys stand for."""
    found = {}
    for each in profile.grouped.sums():
        key: list[object] = list(each.key)
        texts = {By.PEER: [1], By.RESOURCE: [3], By.WAKER: [1, 2], By.LATENCY: [0], By.LOAD: [0]}.get(profile.by, [])
        for at in texts:
            key[at] = profile.text(each.key[at])
        if profile.by in {By.LINE, By.STACK, By.WAKER}:
            key[-1] = place(each.key[-1], profile.by)
        assert tuple(key) not in found
        assert each.longest == each.p99 or each.count >= 100
        found[tuple(key)] = Total(each.total, each.count, each.still, each.longest)
    return found


def profiled(by: By, line: Timeline, begin: int, end: int, pieces: Sequence[list[Event]], now: int) -> Profile:
    made = Profile(by, NUMBERS, begin, end)
    line.listeners.append(lambda spans: made.add(spans, line))
    for piece in pieces:
        line.apply(batch(piece))
    made.finish(line, now)
    return made


def pieces_of(events: list[Event], cuts: list[int]) -> list[list[Event]]:
    edges = [0, *sorted(cut for cut in cuts if cut <= len(events)), len(events)]
    return [events[first:last] for first, last in itertools.pairwise(edges)]


windows = st.tuples(st.integers(0, 40), st.integers(1, 80)).map(lambda pair: (pair[0] * 3 * MS, sum(pair) * 7 * MS))


@settings(deadline=None, max_examples=400)
@given(many_kinds(), st.sampled_from(By), st.just((0, 1 << 62)) | windows, st.lists(st.integers(0, 120), max_size=5))
def test_sums_are_those_of_a_loop_over_the_spans_in_pieces_and_of_what_a_timeline_keeps(
    events: list[Event], by: By, window: tuple[int, int], cuts: list[int]
) -> None:
    now = events[-1].time_ns + 5 * MS
    reference = ReferenceTimeline(0, name, 5 * MS)
    reference.apply(events)
    wanted = naive(by, reference, *window, now)

    line = Timeline(0, name, 5 * MS)
    made = profiled(by, line, *window, pieces_of(events, cuts), now)
    assert in_words(made) == wanted

    kept = Profile(by, NUMBERS, *window)
    for spans in line.chunks():
        kept.add(spans, line)
    kept.finish(line, now)
    assert in_words(kept) == wanted
    assert (kept.times, kept.ran) == (made.times, made.ran)

    times, ran = dict.fromkeys(Part, 0), 0
    for key, total in naive(By.REASON, reference, *window, now).items():
        if key[0] == RUNNING:
            ran += total.total
        elif key[0] != POLL:
            times[part_of(key[0])] += total.total
    assert ran == made.ran
    # A hub that is told apart as such only by its poll has no other waits.
    assert times == made.times
    rows = rows_of(made, NUMBERS)
    assert len(rows) == len(wanted)
    for part in Part:
        shares = [row.share for row in rows if row.part is part and row.sum.total]
        assert not shares or sum(shares) == pytest.approx(1)
    if by is By.STACK:
        stacks = list(folded(made, NUMBERS))
        idle = sum(total.total for key, total in wanted.items() if part_of(key[0]) is Part.IDLE)
        assert sum(ns for _, _, ns in stacks) == sum(total.total for total in wanted.values()) - idle


@settings(deadline=None, max_examples=200)
@given(many_kinds(), st.just((0, 1 << 62)) | windows, st.lists(st.integers(0, 120), max_size=5))
def test_the_load_is_what_ran_and_what_lies_between_two_polls(
    events: list[Event], window: tuple[int, int], cuts: list[int]
) -> None:
    now = events[-1].time_ns + 5 * MS
    reference = ReferenceTimeline(0, name, 5 * MS)
    reference.apply(events)
    load = profiled(By.LOAD, Timeline(0, name, 5 * MS), *window, pieces_of(events, cuts), now).load
    begin, end = window
    stretches: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for _, _, spans in history(reference, now):
        for span, _ in spans:
            kind = 0 if reason_of(span) == RUNNING else 1 if reason_of(span) == POLL else None
            at, last = max(span.start, begin), min(span.end, end)
            while kind is not None and at < last:
                stretch = (at - begin) // load.width
                until = min(last, begin + (stretch + 1) * load.width)
                stretches[stretch][kind] += until - at
                at = until
    assert load.busy == sum(busy for busy, _ in stretches.values())
    assert load.polled == sum(polled for _, polled in stretches.values())
    counts = [0] * 10
    for busy, polled in stretches.values():
        if 2 * (busy + polled) >= load.width:
            counts[min(busy * 10 // (busy + polled), 9)] += 1
    assert [each.count for each in load.classes()] == counts
    absences = list(reference.absences)
    if reference._poll_ended:
        absences.append((reference._poll_ended, now))
    cut = [(max(first, begin), min(last, end)) for first, last in absences]
    cut = [last - first for first, last in cut if first < last]
    assert (load.away.count, load.away.total, load.away.longest) == (len(cut), sum(cut), max(cut, default=0))


def test_what_was_lost_between_two_polls_is_no_time_away() -> None:
    line = Timeline(0, name)
    made = Profile(By.LOAD, NUMBERS)
    line.listeners.append(lambda spans: made.add(spans, line))
    before = [Event(0, 1, Kind.GREENLET_SPAWN, Spawn.HUB), Event(1 * MS, 1, Kind.POLL_BEGIN)]
    after = [
        Event(at * MS, 1, kind) for at, kind in ((90, Kind.POLL_BEGIN), (91, Kind.POLL_END), (95, Kind.POLL_BEGIN))
    ]
    apply(line, [*before, Event(2 * MS, 1, Kind.POLL_END), Gap(7), *after])
    made.finish(line, 100 * MS)
    assert (made.load.away.count, made.load.away.total) == (1, 4 * MS)
    assert (made.load.busy, made.load.polled) == (4 * MS, 1 * MS + 1 * MS + 5 * MS)


def test_a_load_over_a_long_time_has_longer_stretches_and_the_same_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_module, "_MOST", 8)
    load = HubLoad(0, 1 << 62)
    for second in range(100):
        spans = np.zeros(2, SPAN)
        spans["start"] = second * 1000 * MS, second * 1000 * MS + 250 * MS
        spans["end"] = spans["start"][1], (second + 1) * 1000 * MS
        spans["greenlet"], spans["state"], spans["reason"] = HUB, (State.RUNNING, State.WAITING), (0, POLL)
        load.add(spans, HUB, ())
    assert (load.busy, load.polled, load.load) == (100 * 250 * MS, 100 * 750 * MS, 0.25)
    assert load.width >= 100_000 * MS // 8
    assert sum(each.count for each in load.classes()) <= 8
    assert (load.away.count, load.away.longest) == (99, 250 * MS)


# -- many of a thing ---------------------------------------------------------------------------------


def spans_of(lengths: Sequence[int]) -> np.ndarray:
    spans = np.zeros(len(lengths), SPAN)
    spans["start"] = np.arange(len(lengths))
    spans["end"] = spans["start"] + lengths
    spans["greenlet"] = 7
    return spans


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 1 << 40)), min_size=1, max_size=200),
    st.integers(2, 6),
    st.integers(1, 50),
)
def test_of_too_many_keys_the_smaller_are_the_rest_and_no_time_is_lost(
    amounts: list[tuple[int, int]], most: int, step: int
) -> None:
    grouped = Grouped(most)
    for first in range(0, len(amounts), step):
        keys, lengths = zip(*amounts[first : first + step], strict=True)
        grouped.add((np.array(keys),), np.array(lengths), spans_of(lengths))
    sums = grouped.sums()
    assert sum(each.total for each in sums) == sum(length for _, length in amounts)
    assert sum(each.count for each in sums) == len(amounts)
    assert max(each.longest for each in sums) == max(length for _, length in amounts)
    assert len(sums) <= most + 1
    assert [each.key for each in sums].count(()) <= 1
    assert all(each.key for each in sums[:-1])


@given(st.lists(st.integers(0, 1 << 50), min_size=1, max_size=400), st.integers(1, 100))
def test_the_99th_percentile_is_the_longest_of_few_and_within_seven_percent_of_many(
    lengths: list[int], step: int
) -> None:
    grouped, spread = Grouped(), Spread()
    for first in range(0, len(lengths), step):
        piece = np.array(lengths[first : first + step])
        grouped.add((np.zeros(len(piece), np.int64),), piece, spans_of(piece))
        spread.add(piece)
    (found,) = grouped.sums()
    exact = sorted(lengths)[-(-len(lengths) * 99 // 100) - 1]
    assert exact * 0.93 - 1 <= found.p99 <= exact
    assert exact * 0.93 - 1 <= spread.quantile(99) <= exact
    assert found.longest == spread.longest == max(lengths)
    assert sum(each.count for each in spread.classes()) == len(lengths)
    assert sum(each.total for each in spread.classes()) == sum(lengths)
    for each in spread.classes():
        inside = [length for length in lengths if each.least <= length and (not each.below or length < each.below)]
        assert (each.count, each.total) == (len(inside), sum(inside))


def test_the_many_ports_of_a_host_are_one_row_and_a_servers_few_are_told_apart() -> None:
    events = [Event(0, 1, Kind.GREENLET_SPAWN, Spawn.HUB), Event(0, 2, Kind.GREENLET_SPAWN, Spawn.MAIN)]
    peers = [f"10.0.0.5:{port}" for port in range(40_000, 40_040)] + ["10.0.0.5:5432", "10.0.0.9:56379"]
    for number, peer in enumerate(peers, 1):
        events += [
            Event(number * MS, 2, Kind.GREENLET_SWITCH),
            Event(number * MS, 2, Kind.WATCHER_OPEN, Watch.READ, arg=pack(number, 9), text=peer),
            Event(number * MS, 2, Kind.GREENLET_PARK, Wait.READ, 10, 1, pack(number, 0)),
            Event(number * MS + MS // 2, 2, Kind.GREENLET_READY, Ready.WATCHER, arg=number),
        ]
    for by in (By.PEER, By.WAKER):
        made = profiled(by, Timeline(0, name), 0, 1 << 62, [events], 1000 * MS)
        rows = rows_of(made, NUMBERS)
        assert [(row.what, row.sum.count, row.sum.total) for row in rows] == [
            ("10.0.0.5:* (40 ports)", 40, 20 * MS), ("10.0.0.5:5432", 1, MS // 2), ("10.0.0.9:56379", 1, MS // 2),
        ]  # fmt: skip


def test_only_the_greenlets_that_were_chosen_count() -> None:
    events = [Event(0, 1, Kind.GREENLET_SPAWN, Spawn.HUB)]
    for number in (2, 3, 4):
        events += [
            Event(0, number, Kind.GREENLET_SPAWN, Spawn.GREENLET),
            Event(0, number, Kind.GREENLET_NAME, aux=1, arg=number),
            Event(number * MS, number, Kind.GREENLET_SWITCH),
            Event(number * MS, number, Kind.GREENLET_PARK, Wait.LOCK, 0, number, pack(9, 0)),
        ]
    for wanted, sites in (({"3"}, [3]), ({"name 2", "name 1 #4"}, [2, 4]), ({"nobody"}, [])):
        made = Profile(By.LINE, NUMBERS, chosen=lambda *known, wanted=wanted: bool(wanted & set(map(str, known))))
        line = Timeline(0, name)
        line.listeners.append(lambda spans, made=made, line=line: made.add(spans, line))
        line.apply(batch(events))
        made.finish(line, 10 * MS)
        assert [row.sum.site for row in rows_of(made, NUMBERS)] == sites
        assert made.matched == bool(sites)
