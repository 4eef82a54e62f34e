"""A replay over the real application: what the page is answered, what it is refused, and as docs/protocol.md has it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from greenscope.errors import NoSuchStepError, RingFormatError
from greenscope.trace.events import Ready, Spawn, Wait
from greenscope.trace.recorder import Recorder
from greenscope.trace.replaying import Replaying
from greenscope.trace.ring_file import RingSizes, create
from greenscope.trace.ring_header import RingInfo
from greenscope.web import replay as present
from greenscope.web.replay_routes import Language
from greenscope.web.replays import Replays
from tests.trace.analysis.replayed import PROGRAMS, record
from tests.waiting import until
from tests.web.conftest import Viewer

PROTOCOL = (Path(__file__).resolve().parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
PATIENCE = 20


@pytest.fixture(scope="module")
def rings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("replayed")
    return {program: record(program, directory) for program in ("accept", "locks", "timeouts", "threads")}


@contextlib.contextmanager
def asks(viewer: Viewer, ring: Path | str) -> Iterator[httpx.Client]:
    """Of one ring, as soon as the viewer has it."""
    name = ring if isinstance(ring, str) else ring.stem
    if isinstance(ring, Path) and ring.parent != viewer.directory:
        copied = viewer.directory / "copied"
        copied.write_bytes(ring.read_bytes())
        copied.rename(viewer.directory / ring.name)  # the viewer sees all of it or nothing
    with httpx.Client(base_url=f"{viewer.url}/api/rings/{name}", timeout=PATIENCE) as client:
        until(lambda: client.get("/replay").status_code != 404, f"ring {name}")
        yield client


@pytest.fixture
def replay(viewer: Viewer, rings: dict[str, Path]) -> Iterator[httpx.Client]:
    with asks(viewer, rings["accept"]) as client:
        yield client


def test_it_is_stepped_through(replay: httpx.Client) -> None:
    overview = replay.get("/replay").json()
    assert (overview["complete"], overview["full"], overview["first"], overview["lost"]) == (True, False, 0, 0)
    assert (overview["detail"], overview["hub"], overview["greenlets_total"]) == ("teach", 1, 3)
    assert overview["lesson"] is False  # nobody asks in vain
    assert [one["name"] for one in overview["greenlets"]] == ["main", "server #3", "client #4"]
    ((file,), total) = overview["files"], overview["files_total"]
    assert (file["text"], file["why_not"], total) == (PROGRAMS["accept"], None, 1)
    answer = replay.get("/replay/frames", params={"from": 0, "to": 200}).json()
    frames = answer["frames"]
    assert [frame["step"] for frame in frames] == list(range(overview["steps"]))
    assert answer["names"] == {"1": "hub", "2": "main", "3": "server #3", "4": "client #4"}
    assert all(frame["time"] <= later["time"] for frame, later in itertools.pairwise(frames))
    (accepts,) = [one for one in frames if one["kind"] == "greenlet_park" and one["greenlet"] == 3]
    assert (accepts["reason"], accepts["running"], accepts["hub"]) == ("read", 1, "runs")
    assert accepts["site"]["file"] == file["file"]
    assert "accept()" in file["text"].splitlines()[accepts["site"]["line"] - 1]
    assert (accepts["current"]["call"], accepts["current"]["waits"]) == ("accept", 1)
    (parked,) = [one for one in accepts["parked"] if one["greenlet"] == 3]
    assert (parked["on"]["kind"], parked["on"]["number"]) == ("watcher", parked["watcher"])
    assert "listening 127.0.0.1" in parked["label"]
    (watcher,) = accepts["watchers"]
    assert (watcher["watcher"], watcher["owner"], watcher["kind"]) == (parked["watcher"], 3, "read")
    strip = replay.get("/replay/strip", params={"from": 0, "to": overview["steps"] - 1}).json()
    assert [lane["name"] for lane in strip["lanes"]] == ["hub", "main", "server #3", "client #4"]


def test_it_is_told_in_the_language_that_is_asked_for(replay: httpx.Client) -> None:
    english, chinese = (
        replay.get("/replay/frames", params={"from": 0, "to": 200, "lang": language}).json()["frames"]
        for language in Language
    )
    for one, other in zip(english, chinese, strict=True):
        assert {key: one[key] for key in ("step", "time", "kind", "running")} == {
            key: other[key] for key in ("step", "time", "kind", "running")
        }
        assert one["words"] != other["words"]
        assert [each["label"] for each in one["parked"]] != [each["label"] for each in other["parked"]] or not one[
            "parked"
        ]
        assert [each["why"] for each in one["ready"]] != [each["why"] for each in other["ready"]] or not one["ready"]
    whys = [replay.get("/replay/why", params={"step": 29, "lang": language}).json()["causes"] for language in Language]
    assert [one["step"] for one in whys[0]] == [one["step"] for one in whys[1]]
    assert all(one["words"] != other["words"] for one, other in zip(*whys, strict=True))


REFUSED = {
    "/why?step=99999": "there is no step 99999",
    "/why?step=-1": "step",
    "/why?step=1e400": "step",
    "/why?step=99999999999999999999999": "step",
    "/why?step=": "step",
    "/why": "step",
    "/frames?from=5&to=2": "from 5 to 2",
    "/frames?from=0&to=201": "ask for 0 to 200",
    "/frames?from=-1&to=2": "from",
    "/frames?from=99998&to=99999": "there is no step 99998",
    "/frames?from=0&to=NaN": "to",
    "/frames?from=9007199254740991&to=9007199254740991": "there is no step",
    "/strip?from=9&to=3": "from 9 to 3",
    "/strip?from=0&to=99999": "there is no step 99999",
    "/strip?from=0&to=3&most=0": "most",
    "/strip?from=0&to=3&most=5000": "most",
    "?lang=fr": "lang",
    "/why?step=0&lang=": "lang",
}


def test_what_cannot_be_asked_is_refused_in_words(replay: httpx.Client) -> None:
    for path, words in REFUSED.items():
        refused = replay.get(f"/replay{path}")
        assert refused.status_code == 422, path
        assert words in str(refused.json()["detail"]), path


def test_a_ring_that_there_is_none_of_is_not_found(viewer: Viewer) -> None:
    for path in ("", "/frames?from=0&to=1", "/why?step=0", "/strip?from=0&to=1"):
        answer = httpx.get(f"{viewer.url}/api/rings/none/replay{path}")
        assert (answer.status_code, "there is no ring 'none'" in answer.json()["detail"]) == (404, True)


def test_the_last_frame_may_be_asked_for_with_more_than_there_are(replay: httpx.Client) -> None:
    count = replay.get("/replay").json()["steps"]
    frames = replay.get("/replay/frames", params={"from": count - 1, "to": count + 40}).json()["frames"]
    assert [frame["step"] for frame in frames] == [count - 1]
    assert replay.get("/replay/frames", params={"from": count, "to": count + 1}).json() == {"frames": [], "names": {}}


def test_a_ring_whose_file_is_gone_or_another_is_not_found_and_that_is_said(
    viewer: Viewer, rings: dict[str, Path]
) -> None:
    with asks(viewer, rings["locks"]) as page:
        assert page.get("/replay").status_code == 200
    with asks(viewer, rings["timeouts"]) as page:
        path = viewer.directory / rings["timeouts"].name
        path.write_bytes(path.read_bytes()[:6000])
        again = page.get("/replay", params={"anew": True})
        assert again.status_code == 404
        assert re.search("cannot be replayed|there is no ring", again.json()["detail"])  # or it is missed by now
    with asks(viewer, rings["locks"]) as page:
        assert page.get("/replay").status_code == 200, "the others go on"


# -- as the protocol's page has it --------------------------------------------------------------


def test_every_field_is_in_the_protocols_page_and_no_other(rings: dict[str, Path]) -> None:
    told: dict[str, set[str]] = {name: set() for name in ("Overview", "Frames", "Frame", "Parked", "Why", "Strip")}
    for path in rings.values():
        with contextlib.closing(Replaying(path)) as replaying:
            replay = replaying.replay
            overview = present.overview(replaying)
            told["Overview"] |= {*overview, *overview["files"][0], *overview["greenlets"][0]}
            why = present.why(replay, 0)
            told["Why"] |= {*why, *why["causes"][0]}
            strip = present.strip(replay, 0, len(replay) - 1, 100)
            told["Strip"] |= {*strip, *strip["lanes"][0]}
            answer = present.frames(replay, 0, 200)
            for frame in answer["frames"]:
                parts = [frame, frame["go"], frame["current"] or {}]
                for name in ("ready", "watchers", "timeouts", "held"):
                    parts += frame[name]
                told["Frame"] |= {key for part in parts for key in part}
                told["Parked"] |= {key for one in frame["parked"] for key in (*one, *one["on"])}
                json_of = present.as_bytes(frame)
                assert json_of.startswith(b'{"step":')
            told["Frames"] |= set(answer)
    assert told == {name: fields_of(name) for name in told}


def fields_of(name: str) -> set[str]:
    """The fields of one of the protocol's objects: those of the next begin at the start of a line."""
    text = PROTOCOL.split(f"\n{name} = {{")[1]
    text = re.split(r"\n[A-Z]\w+ = |\n```", text)[0]
    return {*re.findall(r'"(\w+)": ', text)} - {"4"}


# -- rings that are written ---------------------------------------------------------------------


def written(directory: Path, events: int = 4096) -> Recorder:
    """A ring that this process writes."""
    recorder = Recorder(create(directory / "1-1.gsr", 1, "MainThread", RingSizes(events=events)))
    recorder.spawn(Spawn.HUB, recorder.string("hub"), 0, 0)
    main = recorder.spawn(Spawn.MAIN, recorder.string("main"), 0, 0)
    recorder.switch(main)
    return recorder


def turn(recorder: Recorder) -> None:
    """Five events of the main greenlet."""
    main = recorder.current
    recorder.park(Wait.YIELD, 0, -1, 0, b"")
    recorder.ready(main, Ready.YIELD, 0)
    recorder.poll_begin(0)
    recorder.poll_end(0)
    recorder.switch(main)


def test_a_living_ring_goes_on_where_the_overview_is_asked_again(viewer: Viewer) -> None:
    recorder = written(viewer.directory)
    with asks(viewer, "1-1") as page:
        first = page.get("/replay").json()
        assert (first["complete"], first["steps"]) == (False, 5)
        before = page.get("/replay/frames", params={"from": 0, "to": 5}).json()["frames"]
        turn(recorder)
        assert page.get("/replay/frames", params={"from": 5, "to": 6}).json()["frames"] == []  # not before it is asked
        second = page.get("/replay").json()
        assert (second["complete"], second["steps"], second["first"]) == (False, 10, 0)
        after = page.get("/replay/frames", params={"from": 0, "to": 10}).json()["frames"]
        assert [frame["words"] for frame in after[:5]] == [frame["words"] for frame in before]
        recorder.close()
        until(lambda: page.get("/replay").json()["complete"], "its end")
        assert page.get("/replay").json()["steps"] == 10


def test_what_is_only_left_out_is_not_said_to_be_lost(viewer: Viewer) -> None:
    recorder = written(viewer.directory)
    for _ in range(100):
        turn(recorder)
    with contextlib.closing(Replaying(viewer.directory / "1-1.gsr", most=100)) as replaying:
        overview = present.overview(replaying)
    assert (overview["first"], overview["lost"]) == (505 - 100, 0)
    recorder.close()


def test_anew_it_begins_with_what_the_ring_holds_by_then(viewer: Viewer) -> None:
    recorder = written(viewer.directory, events=64)
    with asks(viewer, "1-1") as page:
        assert page.get("/replay").json()["steps"] == 5
        for _ in range(100):
            turn(recorder)
        kept = page.get("/replay").json()
        lost = page.get("/replay/frames", params={"from": 5, "to": 6}).json()["frames"][0]
        assert (lost["kind"], lost["running"], lost["hub"]) == ("lost", None, None)
        assert (kept["lost"], kept["steps"]) == (505 - 5 - (kept["steps"] - 6), kept["steps"])
        anew = page.get("/replay", params={"anew": True}).json()
        assert page.get("/replay/frames", params={"from": 0, "to": 1}).json()["frames"][0]["kind"] == "lost"
        assert anew["steps"] + anew["lost"] == 505 + 1
    recorder.close()


def test_what_is_asked_of_steps_that_have_other_numbers_by_now_is_refused(viewer: Viewer) -> None:
    recorder = written(viewer.directory, events=64)
    asked = {"/frames": {"from": 0, "to": 2}, "/why": {"step": 0}, "/strip": {"from": 0, "to": 2}}
    with asks(viewer, "1-1") as page:
        before = page.get("/replay").json()["replay"]
        assert page.get("/replay", params={"anew": True}).json()["replay"] == before  # it begins where that began
        for _ in range(100):
            turn(recorder)
        assert page.get("/replay").json()["replay"] == before  # what was lost meanwhile is after its first steps
        for path, query in asked.items():
            assert page.get(f"/replay{path}", params={**query, "of": before}).status_code == 200, path
        now = page.get("/replay", params={"anew": True}).json()["replay"]
        assert now != before
        for path, query in asked.items():
            assert page.get(f"/replay{path}", params={**query, "of": now}).status_code == 200, path
            assert page.get(f"/replay{path}", params=query).status_code == 200, path
            refused = page.get(f"/replay{path}", params={**query, "of": before})
            assert refused.status_code == 410, path
            assert f"other numbers than those of replay {before}" in refused.json()["detail"], path
            assert page.get(f"/replay{path}", params={**query, "of": "x"}).status_code == 422, path
        assert page.get("/replay/frames", params={"from": 9999, "to": 9999, "of": before}).status_code == 410
        assert page.get("/replay").json()["replay"] == now  # nobody let go of it for that
    recorder.close()


def test_a_recording_that_is_over_has_the_same_numbers_however_often_it_is_opened(replay: httpx.Client) -> None:
    assert len({replay.get("/replay", params={"anew": True}).json()["replay"] for _ in range(3)}) == 1


def test_an_overview_is_not_sent_again_where_nothing_came_since(viewer: Viewer) -> None:
    recorder = written(viewer.directory)
    with asks(viewer, "1-1") as page:
        known = page.get("/replay").json()
        query = {"of": known["replay"], "since": known["steps"]}
        nothing = page.get("/replay", params=query)
        assert (nothing.status_code, nothing.content) == (204, b"")
        assert page.get("/replay", params={**query, "of": 0}).json() == known
        assert page.get("/replay", params={**query, "since": 4}).json() == known
        turn(recorder)
        assert page.get("/replay", params=query).json()["steps"] == 10
        query["since"] = 10
        assert page.get("/replay", params=query).status_code == 204
        recorder.close()  # that it is over is news as well
        until(lambda: page.get("/replay", params=query).status_code != 204, "its end")
        assert page.get("/replay", params=query).json()["complete"] is True


# -- threads ------------------------------------------------------------------------------------


async def soon(holds: Callable[[], bool]) -> None:
    """Wait until what another thread is about to do is done."""
    while not holds():  # noqa: ASYNC110 - of a thread nobody tells
        await asyncio.sleep(0.01)


def info_of(path: Path) -> RingInfo:
    with contextlib.closing(Replaying(path)) as replaying:
        return replaying.info


def test_while_one_replay_is_made_the_viewer_and_the_other_replays_go_on(rings: dict[str, Path]) -> None:
    async def story() -> None:
        replays, begun, go_on = Replays(), threading.Event(), threading.Event()
        threads: list[int] = []

        def slow(replaying: Replaying) -> int:
            threads.append(threading.get_ident())
            begun.set()
            assert go_on.wait(PATIENCE)
            return len(replaying.replay)

        def quick(replaying: Replaying) -> int:
            threads.append(threading.get_ident())
            return len(replaying.replay)

        locks, accept = info_of(rings["locks"]), info_of(rings["accept"])
        first = asyncio.ensure_future(replays.ask("locks", locks, slow))
        second = asyncio.ensure_future(replays.ask("locks", locks, quick))
        await soon(begun.is_set)
        assert await replays.ask("accept", accept, quick) > 0  # another replay has another thread
        assert not second.done()  # one thing after the other
        go_on.set()
        assert await first == await second
        assert len(set(threads)) == 2
        assert threading.get_ident() not in threads
        replays.close()

    asyncio.run(story())


def test_the_ones_that_were_asked_the_longest_time_ago_are_let_go_of(
    rings: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        replays, info = Replays(), info_of(rings["locks"])
        opened: list[Replaying] = []
        for number in (*range(8), 0, 8):
            await replays.ask(str(number), info, opened.append)
        assert [str(number) in replays for number in range(9)] == [True, False, *[True] * 7]
        monkeypatch.setattr("greenscope.web.replays._MOST_STEPS", 3 * len(opened[0].replay))
        await replays.ask("8", info, opened.append)
        assert [number for number in range(9) if str(number) in replays] == [0, 7, 8]
        replays.close()
        assert not any(str(number) in replays for number in range(9))
        await soon(lambda: all(is_closed(one) for one in opened))

    asyncio.run(asyncio.wait_for(story(), PATIENCE))


def test_one_that_is_let_go_of_while_somebody_waits_for_it_answers_first(rings: dict[str, Path]) -> None:
    async def story() -> None:
        replays, info, opened = Replays(), info_of(rings["locks"]), []
        go_on = threading.Event()

        def slow(replaying: Replaying) -> int:
            opened.append(replaying)
            assert go_on.wait(PATIENCE)
            return len(replaying.replay)

        asked = [asyncio.ensure_future(replays.ask("locks", info, slow, 50)) for _ in range(2)]
        await soon(lambda: bool(opened))
        replays.close()
        again = await replays.ask("locks", info, lambda replaying: replaying)  # it is opened anew meanwhile
        assert again is not opened[0]
        go_on.set()
        assert await asked[0] == await asked[1] == len(again.replay)
        await soon(lambda: is_closed(opened[0]))
        assert not is_closed(again)
        replays.close()

    asyncio.run(asyncio.wait_for(story(), PATIENCE))


def is_closed(replaying: Replaying) -> bool:
    try:
        replaying.reader.state()
    except OSError:
        return True
    return False


def test_one_that_nobody_asks_is_let_go_of_after_a_while(rings: dict[str, Path]) -> None:
    async def story() -> None:
        replays = Replays(idle_seconds=0.05)
        await replays.ask("locks", info_of(rings["locks"]), lambda replaying: None)
        assert "locks" in replays
        await soon(lambda: "locks" not in replays)

    asyncio.run(asyncio.wait_for(story(), PATIENCE))


def test_another_ring_in_the_files_place_is_none_of_this_one(rings: dict[str, Path]) -> None:
    async def story() -> None:
        replays, info = Replays(), info_of(rings["locks"])
        with pytest.raises(RingFormatError, match="is another ring by now"):
            await replays.ask("locks", dataclass_with(info, pid=info.pid + 1), lambda replaying: None)
        with pytest.raises(FileNotFoundError):
            await replays.ask("locks", dataclass_with(info, path=Path("/nowhere.gsr")), lambda replaying: None)
        assert "locks" not in replays
        with pytest.raises(NoSuchStepError):  # a wrong question is no reason to let go
            await replays.ask("locks", info, lambda replaying: replaying.replay.event(-1))
        assert "locks" in replays
        with pytest.raises(ZeroDivisionError):  # an error is one: who knows in which state it left it
            await replays.ask("locks", info, lambda replaying: 1 / 0)
        assert "locks" not in replays
        replays.close()

    asyncio.run(asyncio.wait_for(story(), PATIENCE))


def dataclass_with(info: RingInfo, **changes: Any) -> RingInfo:
    return dataclasses.replace(info, **changes)


def test_a_long_recording_is_followed_in_pieces_between_which_others_are_answered(
    rings: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenscope.web.replays._AT_ONCE", 10)

    async def story() -> None:
        replays, info = Replays(), info_of(rings["locks"])
        followed: list[bool] = []
        count = await replays.ask("locks", info, lambda replaying: len(replaying.replay))
        far = asyncio.ensure_future(replays.ask("locks", info, lambda replaying: len(replaying.replay), count))
        near = asyncio.ensure_future(replays.ask("locks", info, lambda replaying: followed.append(far.done())))
        assert (await far, await near, followed) == (count, None, [False])
        replays.close()

    asyncio.run(asyncio.wait_for(story(), PATIENCE))
