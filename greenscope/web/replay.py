"""A replay as the page gets it: an overview, frames, causes, the strip; each as JSON has it.

Pure but for the files of source that the overview has: those that the ring's own lines name, as they are now where
the viewer runs.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

from greenscope.trace.analysis.as_json import site_as_json
from greenscope.trace.analysis.frames import Frame
from greenscope.trace.analysis.replay import Replay, files, greenlets
from greenscope.trace.events import Detail
from greenscope.trace.records import Gap
from greenscope.trace.replaying import Replaying
from greenscope.web.replay_source import source_of

__all__ = ["MOST_FRAMES", "frames", "number", "overview", "strip", "why"]

MOST_FRAMES = 200
_MOST_GREENLETS = 200
_MOST_FILES = 50
_MOST_TEXT = 8 << 20
_LISTS = ("ready", "parked", "watchers", "timeouts", "held")


def overview(replaying: Replaying, language: str = "en", *, lesson: bool = False) -> dict[str, Any]:
    """What there is to step through; ``lesson``: and whether a lesson about it can be asked for."""
    replay, reader = replaying.replay, replaying.reader
    numbers = greenlets(replay)
    level = reader.counters()["detail"]
    return {
        "replay": number(replaying),
        "steps": len(replay),
        "complete": replaying.complete,
        "full": replaying.is_full,
        "first": replaying.first,
        "detail": Detail(level).name.lower() if level in Detail._value2member_map_ else None,
        "hub": replay.hub,
        "lost": replay.recording.lost - replaying.first,
        "greenlets": [{"id": number, "name": replay.name(number)} for number in numbers[:_MOST_GREENLETS]],
        "greenlets_total": len(numbers),
        "lesson": lesson,
        **_files(replaying, language),
    }


def number(replaying: Replaying) -> int:
    """Which numbers its steps have: all replays of one ring that begin at the same event have the same."""
    info, replay = replaying.info, replaying.replay
    begin = replay.event(0) if len(replay) else None
    lost = begin.lost if isinstance(begin, Gap) else 0
    return zlib.crc32(repr((info.boot_id, info.pid, info.hub, info.start_monotonic_ns, lost)).encode())


def _files(replaying: Replaying, language: str) -> dict[str, Any]:
    shown, room, info = [], _MOST_TEXT, replaying.info
    named = files(replaying.replay)
    for name in named[:_MOST_FILES]:
        text, why_not = source_of(name, info.start_wall_ns, info.host, room, language)
        room -= len(text or "")
        shown.append({"file": name, "text": text, "why_not": why_not})
    return {"files": shown, "files_total": len(named)}


def frames(replay: Replay, first: int, past: int, language: str = "en") -> dict[str, Any]:
    """The moments after some steps, as far as there are such, and what the greenlets in them are called.

    Raises:
        NoSuchStepError: there are none so far.
    """
    if first != len(replay):  # whoever has all there are may ask for what comes next
        replay.event(first)
    objects = _Objects()
    shown = [objects.frame(frame) for frame in replay.frames(first, past, language)]
    names = {number: replay.known_name(number) for number in sorted(_named(shown))}
    return {"frames": shown, "names": {number: name for number, name in names.items() if name}}


def why(replay: Replay, step: int, language: str = "en") -> dict[str, Any]:
    """Why who runs after a step does so."""
    return {"causes": [cause._asdict() for cause in replay.why(step, language)]}


def strip(replay: Replay, first: int, last: int, most: int) -> dict[str, Any]:
    """What everybody did between two steps."""
    shown = replay.strip(first, last, most)
    return {
        "from": first,
        "to": last,
        "lanes": [lane._asdict() for lane in shown.lanes],
        "lanes_total": shown.lanes_total,
    }


def as_bytes(answer: dict[str, Any]) -> bytes:
    """JSON as it is sent."""
    return json.dumps(answer, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")


class _Objects:
    """Frames as JSON has them. Many have the same values in them, which become one object."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[Any, dict[str, Any]]] = {}  # by identity: each is kept, too, so that none is reused

    def frame(self, frame: Frame) -> dict[str, Any]:
        shown = frame._asdict()
        for name in _LISTS:
            shown[name] = [self._object(one) for one in shown[name]]
        shown["site"] = site_as_json(frame.site)
        shown["current"] = self._object(frame.current) if frame.current is not None else None
        shown["go"] = frame.go._asdict()
        return shown

    def _object(self, one: Any) -> dict[str, Any]:
        kept = self._made.get(id(one))
        if kept is not None:
            return kept[1]
        made: dict[str, Any] = one._asdict()
        if "site" in made:
            made["site"] = site_as_json(one.site)
        if "on" in made:
            made["on"] = one.on._asdict()
        self._made[id(one)] = one, made
        return made


def _named(shown: list[dict[str, Any]]) -> set[int]:
    """Whom frames name by number."""
    named: set[int | None] = set()
    for frame in shown:
        named |= {frame["greenlet"], frame["running"]}
        named |= {one["greenlet"] for one in frame["ready"]}
        named |= {one["greenlet"] for one in frame["parked"]} | {one["on"]["greenlet"] for one in frame["parked"]}
        named |= {one["owner"] for one in frame["watchers"]} | {one["owner"] for one in frame["timeouts"]}
        named |= {holder for one in frame["held"] for holder in one["holders"]}
    return {number for number in named if number is not None}
