"""What is asked of a lane: shares that are exact, and segments no denser than a screen."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from greenscope.trace.analysis import Lane, Segment, Span, State
from greenscope.trace.analysis.lanes import Lanes
from greenscope.trace.analysis.spans import SPAN, SpanStore
from greenscope.trace.analysis.texts import Texts
from greenscope.trace.events import NO_FD

STATES = [State.RUNNING, State.READY, State.WAITING, State.STALLED]


class Growing:
    """One greenlet's lane, span by span."""

    def __init__(self) -> None:
        self._texts = Texts()
        self.store = SpanStore()
        self._lanes = Lanes(self.store, self._texts)
        self._lanes.add(np.array([1], np.uint64))
        self.at = 0

    def add(self, pause: int, length: int, state: State, reason: int = 0) -> None:
        span = np.zeros(1, SPAN)
        span["greenlet"], span["state"], span["reason"], span["fd"] = 1, state, reason, NO_FD
        span["start"] = self.at + pause
        self.at = span["end"][0] = self.at + pause + length
        self.store.append(span)

    def lane(self, goes_on: State | None = None) -> Lane:
        self._lanes.rows["goes_on"] = goes_on is not None
        self._lanes.open["start"], self._lanes.open["state"], self._lanes.open["fd"] = self.at, goes_on or 0, NO_FD
        self._lanes.count_spans()
        return self._lanes[1]


def lane_of(lengths: list[tuple[int, int, State]], goes_on: State | None = None) -> Lane:
    """A lane of spans, each given by the pause before it, its length and its state."""
    growing = Growing()
    for pause, length, state in lengths:
        growing.add(pause, length, state)
    return growing.lane(goes_on)


some_spans = st.lists(
    st.tuples(st.sampled_from([0, 0, 0, 7]), st.integers(0, 30), st.sampled_from(STATES)), max_size=60
)
windows = st.tuples(st.integers(-20, 900), st.integers(1, 900))


@given(some_spans, windows, st.sampled_from([None, *STATES[:3]]))
def test_shares_are_what_adding_up_span_by_span_gives(
    lengths: list[tuple[int, int, State]], window: tuple[int, int], goes_on: State | None
) -> None:
    lane = lane_of(lengths, goes_on)
    start, end, now = window[0], sum(window), 2000
    spans = [*lane.spans()]
    if lane.open is not None:
        spans.append(Span(lane.open.start, lane.open.state, end=now))
    expected = dict.fromkeys(STATES, 0)
    for span in spans:
        expected[span.state] += max(0, min(span.end, end) - max(span.start, start))
    ran = expected[State.RUNNING] + expected[State.STALLED]
    assert lane.shares(start, end, now) == (ran, expected[State.READY], expected[State.WAITING])


@given(some_spans, st.integers(0, 20), st.integers(1, 40), st.integers(1, 60))
def test_a_screen_gets_at_most_two_segments_a_pixel(
    lengths: list[tuple[int, int, State]], first: int, pixels: int, bucket: int
) -> None:
    lane = lane_of(lengths)
    start, end = first * bucket, (first + pixels) * bucket
    shown = lane.segments(start, end, 5000, bucket)
    assert len(shown) <= 2 * pixels + 3
    for segment in shown:
        assert segment.start <= segment.end
        # The running share of a pixel that begins before the window lies at that pixel's beginning.
        assert segment.end > start or segment.flag == 1
        assert segment.start < end


@given(some_spans)
def test_close_enough_every_span_is_shown_as_it_is(lengths: list[tuple[int, int, State]]) -> None:
    lane = lane_of([(pause, length + 1, state) for pause, length, state in lengths])
    shown = [(s.start, s.end, s.state) for s in lane.segments(0, 5000, 5000, 1)]
    assert shown == [(s.start, s.end, s.state) for s in lane.spans()]


@settings(deadline=None)
@given(some_spans, st.integers(1, 40), st.lists(st.integers(1, 200), max_size=6))
def test_a_page_that_follows_ends_up_with_what_a_fresh_one_gets(
    lengths: list[tuple[int, int, State]], bucket: int, steps: list[int]
) -> None:
    """Frame by frame, as the stream sends them and the page takes them."""
    growing, at = Growing(), 0
    page: list[tuple[int, int, int]] = []
    sent_until = 0
    pieces = list(itertools.accumulate(steps))
    for index, (pause, length, state) in enumerate(lengths):
        growing.add(pause, length, state)
        at, lane = growing.at, growing.lane()
        if index in pieces or index == len(lengths) - 1:
            since = sent_until - 4 * bucket
            since -= since % bucket
            page = [s for s in page if s[1] <= since]
            page += [(s.start, s.end, s.state) for s in lane.segments(since, 10_000, at, bucket)]
            sent_until = at
    lane = growing.lane()
    fresh = [(s.start, s.end, s.state) for s in lane.segments(0, 10_000, at, bucket)]
    assert sum(e - s for s, e, _ in page) <= 2 * sum(e - s for s, e, _ in fresh) + bucket
    assert {s[0] for s in page} >= {s[0] for s in fresh if s[1] - s[0] > 2 * bucket}


def greedy(spans: list[Span], bucket: int) -> list[Segment]:
    """The segments of spans that ended, made one after the other."""
    shown: list[Segment] = []
    while spans:
        span = spans[0]
        until = -(-span.end // bucket) * bucket
        if span.end - span.start >= 2 * bucket or len(spans) < 3 or spans[2].end > until:
            shown.append(Segment(span.start, span.end, span.state, span.reason, 0))
            del spans[0]
            continue
        inside = [other for other in spans if other.end <= until]
        del spans[: len(inside)]
        ran, ready, waited = (
            sum(one.end - one.start for one in inside if one.state in states)
            for states in ({State.RUNNING, State.STALLED}, {State.READY}, {State.WAITING})
        )
        mostly, reason = State.RUNNING if ran > ready else State.READY, 0
        if waited >= ready and waited >= ran:
            waits = [one for one in inside[:64] if one.state is State.WAITING]
            mostly = State.WAITING
            reason = max(waits, key=lambda one: one.end - one.start, default=span).reason if waited else 0
        shown.append(Segment(span.start, inside[-1].end, mostly, reason, 1))
        if ran and mostly is not State.RUNNING:
            shown.append(Segment(span.start, span.start + ran, State.RUNNING, 0, 1))
    return shown


@given(some_spans, st.integers(1, 60))
def test_all_at_once_they_are_what_one_after_the_other_gives(
    lengths: list[tuple[int, int, State]], bucket: int
) -> None:
    growing = Growing()
    for number, (pause, length, state) in enumerate(lengths):
        growing.add(pause, length, state, reason=number)
    lane = growing.lane()
    assert lane.segments(-bucket, 5000 * bucket, 10_000, bucket) == greedy(
        [span for span in lane.spans() if span.end > -bucket], bucket
    )


def test_the_span_at_a_time_is_found_or_the_nearest_within_a_pixel() -> None:
    lane = lane_of([(10, 10, State.RUNNING), (50, 10, State.WAITING)], State.READY)
    assert lane.span_at(15, 100) == Span(10, State.RUNNING, end=20)
    assert lane.span_at(40, 100) is None
    assert lane.span_at(24, 100, slack=5) == Span(10, State.RUNNING, end=20)
    found = lane.span_at(90, 100)
    assert found == Span(80, State.READY, end=100)


def test_a_dense_pixel_says_what_it_mostly_was_and_how_much_it_ran() -> None:
    lane = lane_of([(0, 2, State.RUNNING), (0, 8, State.WAITING)] * 10)
    shown = lane.segments(0, 100, 100, 100)
    assert [(s.start, s.end, s.state, s.flag) for s in shown] == [
        (0, 100, State.WAITING, 1),
        (0, 20, State.RUNNING, 1),
    ]


def test_forgetting_keeps_the_sums_right() -> None:
    growing = Growing()
    for _ in range(10):
        growing.add(0, 2, State.RUNNING)
        growing.add(0, 8, State.WAITING)
    growing.store.forget_before(50)
    lane = growing.lane()
    assert (len(growing.store), len(lane)) == (10, 10)
    assert lane.shares(50, 100, 100) == (10, 0, 40)
    assert lane.begins == 50
