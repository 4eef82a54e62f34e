"""``greenscope events``: what a ring holds, event by event."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from greenscope.cli.event_steps import LANGUAGES, Explained
from greenscope.cli.event_words import TEACHING, EventWords
from greenscope.cli.ring_argument import RingArgument
from greenscope.cli.times import Time
from greenscope.trace.events import EVENT_KINDS, Kind
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Batch, Event, EventArray

__all__ = ["events"]

_KINDS = {doc.name: kind for kind, doc in EVENT_KINDS.items() if kind != Kind.TEXT}
_LAST = (1 << 64) - 1


@click.command()
@click.argument("path", metavar="FILE.gsr | PID", type=RingArgument())
@click.option("--greenlet", "greenlets", multiple=True, metavar="N|NAME", help="Only of these; may be repeated.")
@click.option("--kind", "kinds", multiple=True, type=click.Choice(list(_KINDS)), help="Only these; may be repeated.")
@click.option("--from", "begin", type=Time(), default="0", help="Only from this time on, since the ring began.")
@click.option("--to", "end", type=Time(), default=None, help="Only before this time.")
@click.option("--explain", is_flag=True, help="What happened and why, in a sentence or two, instead.")
@click.option(
    "--lang", type=click.Choice(list(LANGUAGES)), default=None, help="The sentences' language; en unless told."
)
@click.option("--json", "as_json", is_flag=True, help="An object a line; docs/recordings.md lists the fields.")
def events(
    path: Path,
    greenlets: tuple[str, ...],
    kinds: tuple[str, ...],
    begin: int,
    end: int | None,
    explain: bool,
    lang: str | None,
    as_json: bool,
) -> None:
    """List the events of a recording, or of a ring that is written, one a line: when, who, what, why, where.

    Times are seconds since the ring began, or with a unit: 1.5s, 200ms. Where events were lost, a line says
    how many.
    """
    if lang is not None and not explain:
        raise click.UsageError(f"--lang {lang} is the language of --explain, which was not asked for")
    wanted = [_KINDS[name] for name in kinds]
    with closing(RingReader(path)) as reader:
        words = EventWords(reader)
        explained = Explained(reader, lang or "en") if explain else None
        start = reader.info.start_monotonic_ns
        times = start + begin, _LAST if end is None else start + end
        for batch in _batches(reader):
            if batch.lost:
                said = explained.lost(batch.lost) if explained else f"-- {batch.lost} records were lost here --"
                print(json.dumps({"lost": batch.lost}) if as_json else said)
            shown = _chosen(batch.events, wanted, times)
            taught = np.isin(batch.events["kind"], TEACHING)
            for record in batch.events[taught].tolist():
                words.expect(Event(*record))
                if explained:
                    explained.steps.expect(Event(*record))
            followed = shown | taught if explained is None else np.ones(len(batch), bool)
            for index in np.flatnonzero(followed).tolist():
                event = Event(*batch.events[index].tolist())._replace(text=batch.texts.get(index, ""))
                words.learn(event)
                if shown[index] and (not greenlets or _named(greenlets, event.greenlet, words)):
                    print(_shown(event, words, explained, as_json))
                if explained:
                    explained.steps.apply(event)
    sys.stdout.flush()


def _shown(event: Event, words: EventWords, explained: Explained | None, as_json: bool) -> str:
    if as_json:
        facts = words.facts(event)
        if explained:
            facts["explained"] = explained.text(event)
        return json.dumps(facts)
    return explained.lines(event, words.name(event.greenlet)) if explained else words.line(event)


def _batches(reader: RingReader) -> Iterator[Batch]:
    """What there was when it was begun: a living ring has no end."""
    end = reader.head
    while True:
        batch = reader.read_batch()
        if batch:
            yield batch
        if reader.position >= end:
            return


def _chosen(events: EventArray, kinds: Sequence[Kind], times: tuple[int, int]) -> npt.NDArray[np.bool_]:
    first, last = (np.uint64(min(time, _LAST)) for time in times)
    chosen: npt.NDArray[np.bool_] = (events["time_ns"] >= first) & (events["time_ns"] < last)
    return chosen & np.isin(events["kind"], kinds) if kinds else chosen


def _named(wanted: tuple[str, ...], greenlet: int, words: EventWords) -> bool:
    name = words.name(greenlet)
    return any(one in (str(greenlet), name, name.removesuffix(f" #{greenlet}")) for one in wanted)
