"""The stream for pages that poll: what a WebSocket would bring, a request at a time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from pathlib import Path
from typing import Any

import httpx
import pytest

from greenscope.trace.events import Spawn
from greenscope.trace.recorder import Recorder, open_recorder
from greenscope.web import polling
from greenscope.web.polling import PolledPages
from greenscope.web.session import Session
from tests.web.conftest import Viewer

VIEW = {"type": "view", "serial": 1, "from": 0, "to": 10**10, "follow": True, "pixels": 1000}


@pytest.fixture
def ring(trace_directory: Path) -> Recorder:
    trace_directory.mkdir(mode=0o700, exist_ok=True)
    recorder = open_recorder(1, "MainThread")
    recorder.spawn(Spawn.HUB, recorder.string("hub"), 0, 0)
    recorder.switch(recorder.spawn(Spawn.MAIN, recorder.string("main"), 0, 0))
    return recorder


def decode(body: bytes) -> list[Any]:
    found: list[Any] = []
    at = 0
    while at < len(body):
        size, kind = struct.unpack_from("<II", body, at)
        part = body[at + 8 : at + 8 + size]
        found.append(json.loads(part) if kind == 1 else part)
        at += 8 + size
    assert at == len(body)
    return found


def kinds(messages: list[Any]) -> list[str]:
    return [message["type"] if isinstance(message, dict) else "frame" for message in messages]


def test_a_page_begins_says_what_it_shows_and_goes_on(viewer: Viewer, ring: Recorder) -> None:
    assert ring.path is not None
    with httpx.Client(base_url=viewer.url) as client:
        while (begun := client.post(f"/api/rings/{ring.path.stem}/poll", json=[])).status_code == 404:
            pass
        first = decode(begun.content)
        assert kinds(first)[:3] == ["page", "hello", "status"]
        address = f"/api/rings/{ring.path.stem}/poll?page={first[0]['page']}"
        answered = decode(client.post(address, json=[json.dumps(VIEW)]).content)
        assert "lanes" in kinds(answered)
        assert kinds(answered)[-1] == "frame"
        assert struct.unpack_from("<IIII", answered[-1])[:2] == (1, 1)
        later: list[Any] = []
        while not {"status", "greenlets", "latency", "findings", "frame"} <= set(kinds(later)):
            later += decode(client.post(address, json=[]).content)
        assert not {"page", "hello"} & set(kinds(later))
        wrong = decode(client.post(address, json=["{"]).content)
        assert "JSON" in next(message["message"] for message in wrong if kinds([message]) == ["error"])
        ring.close()
        while not any(kinds([m]) == ["status"] and m["state"] == "ended" for m in later):
            later = decode(client.post(address, json=[]).content)


def test_a_page_that_is_not_known_begins_anew_and_nonsense_is_refused(viewer: Viewer, ring: Recorder) -> None:
    assert ring.path is not None
    with httpx.Client(base_url=viewer.url) as client:
        address = f"/api/rings/{ring.path.stem}/poll"
        while client.post(address, json=[]).status_code == 404:
            pass
        gone = client.post(f"{address}?page=guessed", json=[])
        assert gone.status_code == 410
        assert "begins anew" in gone.text
        assert client.post(address, json=["{}"] * 17).status_code == 422
        assert client.post(address, json={"type": "view"}).status_code == 422
        assert client.post("/api/rings/none/poll", json=[]).status_code == 404
        assert client.post(address, json=[], headers={"origin": "http://127.0.0.1:1"}).status_code == 403


def test_pages_are_bounded_and_one_that_does_not_ask_is_forgotten(
    ring: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "_MOST_PAGES", 3)
    assert ring.path is not None

    async def begin(pages: PolledPages, session: Session) -> str:
        body = await pages.poll(session, None, [], hold=False)
        assert body is not None
        number: str = decode(body)[0]["page"]
        return number

    async def scenario(session: Session) -> None:
        pages = PolledPages()
        numbers = [await begin(pages, session) for _ in range(3)]
        assert len(set(numbers)) == 3
        assert await pages.poll(session, numbers[0], [], hold=False) is not None  # asked last
        numbers.append(await begin(pages, session))
        assert session.pages == 3
        assert await pages.poll(session, numbers[1], [], hold=False) is None
        assert await pages.poll(session, numbers[0], [], hold=False) is not None
        monkeypatch.setattr(polling, "_FORGET_SECONDS", 0)
        assert await pages.poll(session, numbers[0], [], hold=False) is not None
        async with asyncio.timeout(10):
            while session.pages == 3:  # noqa: ASYNC110 - a timer of the loop's, which has no event
                await asyncio.sleep(0)
        assert await pages.poll(session, numbers[0], [], hold=False) is None
        pages.close()
        assert session.pages == 0

    with contextlib.closing(Session(ring.path)) as session:
        asyncio.run(scenario(session))
    ring.close()


def test_who_is_not_to_be_held_is_answered_at_once_and_told_to_wait_itself(
    ring: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ring.path is not None
    monkeypatch.setattr(polling, "TICK_SECONDS", 3600)

    async def scenario(session: Session) -> None:
        pages = PolledPages()
        begun = await pages.poll(session, None, [], hold=False)
        assert begun is not None
        said = decode(begun)[0]
        assert said["pause"] > 0
        assert await pages.poll(session, said["page"], [], hold=False) == b""  # nothing is due yet
        assert await pages.poll(session, said["page"], [json.dumps(VIEW)], hold=False)
        monkeypatch.setattr(polling, "TICK_SECONDS", 0.01)
        assert await pages.poll(session, said["page"], [], hold=True)
        pages.close()

    with contextlib.closing(Session(ring.path)) as session:
        asyncio.run(scenario(session))
    ring.close()
