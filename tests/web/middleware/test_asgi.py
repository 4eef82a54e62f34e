"""The ASGI middleware: requests are lanes of a ring of the loop's thread, and responses say where their time went."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from greenscope.trace.analysis.timeline import Timeline
from greenscope.trace.events import Exit, Kind, Wait
from greenscope.trace.examination import Examination, monotonic_ns
from greenscope.trace.here import here
from greenscope.trace.notes import mark
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event
from greenscope.web import AsgiDebugMiddleware
from greenscope.web.middleware import loop_ring, served
from tests.web.middleware.answers import metrics, requests_in
from tests.web.middleware.test_wsgi import PAGE

HTML = (b"content-type", b"text/html; charset=utf-8")
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
Messages = list[dict[str, Any]]


@pytest.fixture(autouse=True)
def ring_of_its_own() -> Iterator[None]:
    """Each test has a loop of its own, and so a ring; the last one is not left to the tests that follow."""
    yield
    ring = loop_ring._here.ring
    if ring is not None:
        ring.recorder.close()
        loop_ring._here.ring = None


def scope(path: str = "/", method: str = "GET", **more: Any) -> dict[str, Any]:
    return {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "root_path": "", "query_string": b"", "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 5), "server": ("127.0.0.1", 80), **more,
    }  # fmt: skip


async def received() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def call(application: Any, given: dict[str, Any] | None = None, **settings: Any) -> Messages:
    """One request: the messages that a server would get."""
    sent: Messages = []

    async def send(message: Any) -> None:
        sent.append(dict(message))

    await AsgiDebugMiddleware(application, enabled=True, **settings)(given or scope(), received, send)
    return sent


def answering(*bodies: bytes, headers: Any = (HTML,), status: int = 200) -> Callable[..., Awaitable[None]]:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        for number, body in enumerate(bodies, 1):
            await send({"type": "http.response.body", "body": body, "more_body": number < len(bodies)})

    return application


def length(body: bytes) -> tuple[bytes, bytes]:
    return b"content-length", str(len(body)).encode()


def headers_of(sent: Messages) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in sent[0]["headers"]}


def body_of(sent: Messages) -> bytes:
    return b"".join(message.get("body", b"") for message in sent[1:])


def without_bar(body: bytes) -> bytes:
    before, bar, rest = body.partition(b"<greenscope-bar>")
    assert bar
    return before + rest.partition(b"</greenscope-bar>")[2]


def ring_path() -> Path:
    ring = loop_ring._here.ring
    assert ring is not None and ring.recorder.path is not None
    return ring.recorder.path


def lanes(path: Path) -> dict[str, list[tuple[str, str, str]]]:
    """By name: (what happened, why, the function whose line it was), in their order. All of it has to be legal."""
    with contextlib.closing(RingReader(path)) as reader:
        timeline = Timeline(reader.info.start_monotonic_ns, reader.string)
        timeline.apply(reader.read_batch())
        assert timeline.illegal == 0
    with contextlib.closing(RingReader(path)) as reader:
        names: dict[int, str] = {}
        told: dict[str, list[tuple[str, str, str]]] = {}
        for event in reader.read():
            assert isinstance(event, Event)
            kind = Kind(event.kind)
            if kind is Kind.GREENLET_NAME:
                names[event.greenlet] = reader.string(event.arg)
            if kind not in {Kind.GREENLET_PARK, Kind.GREENLET_EXIT, Kind.GREENLET_THROW}:
                continue
            why = Wait(event.reason).name if kind is Kind.GREENLET_PARK else Exit(event.reason).name
            site = reader.site(event.site)
            what = "" if kind is Kind.GREENLET_THROW else why
            function = site.function.rpartition(".")[2] if site else ""
            told.setdefault(names[event.greenlet], []).append((kind.name[9:].lower(), what, function))
        return told


# -- where time goes ----------------------------------------------------------------------------------


def test_a_requests_coroutine_is_a_lane_with_its_waits_and_their_lines() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        lock, queue, event = asyncio.Lock(), asyncio.Queue[int](), asyncio.Event()
        await lock.acquire()
        asyncio.get_running_loop().call_later(0.002, lock.release)
        async with lock:
            pass
        asyncio.get_running_loop().call_later(0.002, queue.put_nowait, 1)
        await queue.get()
        asyncio.get_running_loop().call_later(0.002, event.set)
        await event.wait()
        await asyncio.sleep(0.003)
        await asyncio.sleep(0)
        await asyncio.to_thread(time.sleep, 0.002)
        await asyncio.gather(child(), child())
        await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80)
        await answering(b"", headers=[])(scope, receive, send)

    async def child() -> None:
        await asyncio.sleep(0.001)

    sent = asyncio.run(call(application))
    found = lanes(ring_path())
    assert found["GET /"] == [
        *(("park", kind, "application") for kind in
          ("LOCK", "QUEUE", "EVENT", "TIMER", "YIELD", "THREAD", "JOIN", "LOOKUP")),
        ("exit", "RETURNED", ""),
    ]  # fmt: skip
    name = next(name for name in found if name.endswith("child"))
    assert found[name] == [("park", "TIMER", "child")] * 2 + [("exit", "RETURNED", "")] * 2
    said = metrics(headers_of(sent)["server-timing"])
    waits = {
        "wait-lock",
        "wait-queue",
        "wait-event",
        "wait-timer",
        "wait-yield",
        "wait-thread",
        "wait-join",
        "wait-lookup",
    }
    assert set(said) == {"total", "run", "ready", "spawned", *waits}
    assert said["wait-timer"] >= 3
    assert said["total"] == pytest.approx(sum(said[one] for one in {"run", "ready", *waits}), abs=0.01)
    assert "2 tasks spawned" in headers_of(sent)["server-timing"]


def test_a_request_that_waits_behind_another_is_ready_meanwhile() -> None:
    async def hog() -> None:
        end = time.monotonic() + 0.05
        while time.monotonic() < end:
            pass

    async def both() -> Messages:
        done = asyncio.get_running_loop().create_future()

        async def application(scope: Any, receive: Any, send: Any) -> None:
            await done
            await answering(b"", headers=[])(scope, receive, send)

        request = asyncio.create_task(call(application))
        await asyncio.sleep(0.005)
        asyncio.create_task(hog())  # first in the queue  # noqa: RUF006
        done.set_result(None)
        return await request

    said = metrics(headers_of(asyncio.run(both()))["server-timing"])
    assert said["ready"] >= 50 and said["wait-other"] > 0


@pytest.mark.parametrize("many", [1, 30])
def test_requests_that_run_at_once_have_their_own_lanes_each(many: int) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(5):
            await asyncio.sleep(0.001)
        await answering(b"x", headers=[])(scope, receive, send)

    async def all_of_them() -> list[Messages]:
        return await asyncio.gather(*(call(application, scope(f"/{number}")) for number in range(many)))

    answers = asyncio.run(all_of_them())
    found = requests_in(ring_path())
    assert len(found) == many == len({headers_of(sent)["link"] for sent in answers})
    assert [text.split("\n")[1] for text, *_ in found.values()] == [f"GET /{number}" for number in range(many)]
    assert all(parks[:-1] == [("park", "TIMER", "application")] * 5 for parks in lanes(ring_path()).values())


def test_several_that_wait_for_the_same_are_all_ready_when_it_is_done() -> None:
    async def both() -> None:
        shared = asyncio.create_task(asyncio.sleep(0.01))

        async def application(scope: Any, receive: Any, send: Any) -> None:
            await shared
            await answering(b"", headers=[])(scope, receive, send)

        answers = await asyncio.gather(*(call(application) for _ in range(3)))
        assert all(metrics(headers_of(sent)["server-timing"])["ready"] < 5 for sent in answers)

    asyncio.run(both())
    assert lanes(ring_path())["GET /"].count(("park", "JOIN", "application")) == 3


def test_a_line_within_an_asynchronous_generator_is_found() -> None:
    async def pieces() -> Any:
        await asyncio.sleep(0.001)
        yield b"x"

    async def application(scope: Any, receive: Any, send: Any) -> None:
        async for piece in pieces():
            await answering(piece, headers=[])(scope, receive, send)

    asyncio.run(call(application))
    assert lanes(ring_path())["GET /"][0] == ("park", "TIMER", "pieces")


# -- how it ends --------------------------------------------------------------------------------------


def test_what_the_application_raises_goes_on_and_is_recorded() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0)
        raise KeyError("made up")

    with pytest.raises(KeyError, match="made up"):
        asyncio.run(call(application))
    ((_, *ended),) = requests_in(ring_path()).values()
    assert ended == ["RAISED", 0, "KeyError"]
    assert lanes(ring_path())["GET /"][-1] == ("exit", "RAISED", "")


def test_a_request_that_is_cancelled_ends_so_and_may_clean_up() -> None:
    cleaned = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            cleaned.append(asyncio.current_task())

    async def cancelled() -> None:
        task = asyncio.create_task(call(application))
        await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert cleaned == [task]

    asyncio.run(cancelled())
    ((_, *ended),) = requests_in(ring_path()).values()
    assert ended == ["KILLED", 0, "CancelledError"]
    assert lanes(ring_path())["GET /"] == [
        ("park", "TIMER", "application"), ("throw", "", ""), ("park", "YIELD", "application"), ("exit", "KILLED", ""),
    ]  # fmt: skip


def test_a_timeout_is_the_applications() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.002):
                await asyncio.sleep(60)
        await answering(b"late", headers=[])(scope, receive, send)

    assert body_of(asyncio.run(call(application))) == b"late"
    assert ("throw", "", "") in lanes(ring_path())["GET /"]


def test_a_coroutine_that_nobody_wants_any_more_is_closed() -> None:
    closed = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            closed.append(True)

    async def dropped() -> None:
        coroutine = call(application)
        coroutine.send(None)
        coroutine.close()

    asyncio.run(dropped())
    assert closed == [True]
    assert lanes(ring_path())["GET /"][-1] == ("exit", "KILLED", "")


# -- tasks --------------------------------------------------------------------------------------------


def test_tasks_of_a_request_are_its_lanes_and_others_are_none() -> None:
    background: list[asyncio.Task[None]] = []

    async def later() -> None:
        await asyncio.sleep(0.001)

    async def of_nobody() -> None:
        await asyncio.sleep(0.001)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        background.append(asyncio.create_task(later(), name="mine"))
        await answering(b"", headers=[])(scope, receive, send)

    async def both() -> None:
        await call(application)
        assert background[0].get_name() == "mine"
        assert "later" in repr(background[0]) and background[0].get_stack()
        assert asyncio.iscoroutine(background[0].get_coro())
        await asyncio.create_task(of_nobody())
        await background[0]

    asyncio.run(both())
    found = lanes(ring_path())
    assert [name.rpartition(".")[2] for name in found] == ["GET /", "later"]
    assert found["GET /"] == [("exit", "RETURNED", "")]


def test_an_earlier_task_factory_makes_the_tasks_still() -> None:
    made = []

    def factory(loop: Any, coroutine: Any, **keywords: Any) -> asyncio.Task[Any]:
        made.append(coroutine)
        return asyncio.Task(coroutine, loop=loop, **keywords)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.gather(asyncio.sleep(0.001), asyncio.sleep(0.001))

    async def both() -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        await call(application)

    asyncio.run(both())
    assert [type(one).__name__ for one in made[:2]] == ["Lane", "Lane"]  # and what asyncio.run does at its end
    assert len(lanes(ring_path())) == 2


@pytest.mark.skipif(sys.version_info < (3, 12), reason="tasks are eager from 3.12 on")
def test_an_eager_task_runs_within_its_makers_step() -> None:
    async def child() -> int:
        value = len("now")
        await asyncio.sleep(0.001)
        return value

    async def application(scope: Any, receive: Any, send: Any) -> None:
        task = asyncio.create_task(child())
        await asyncio.sleep(0)
        assert await task == 3
        await answering(b"", headers=[])(scope, receive, send)

    async def both() -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]
        await call(application)

    asyncio.run(both())
    found = lanes(ring_path())
    assert [kind for _, kind, _ in found["GET /"]] == ["YIELD", "YIELD", "JOIN", "RETURNED"]


def test_requests_that_wait_for_an_hour_are_nothing_that_is_wrong() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        event, queue, lock = asyncio.Event(), asyncio.Queue[int](), asyncio.Lock()
        await lock.acquire()
        await {
            "/event": event.wait, "/queue": queue.get, "/lock": lock.acquire,
            "/thread": lambda: asyncio.to_thread(done.wait, 20),
        }[scope["path"]]()  # fmt: skip

    done = threading.Event()

    async def all_of_them() -> list[str]:
        paths = ("/event", "/queue", "/lock", "/thread")
        tasks = [asyncio.create_task(call(application, scope(path))) for path in paths]
        await asyncio.sleep(0.01)
        looked = Examination(ring_path(), clock=lambda: monotonic_ns() + 3600 * 10**9)
        found = [finding.sentence for finding in looked.findings()]
        looked.close()
        done.set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return found

    assert asyncio.run(all_of_them()) == []


# -- messages -----------------------------------------------------------------------------------------


def test_a_page_has_its_bar_whole_or_streamed() -> None:
    etag = (b"ETag", b'"a"')
    sent = asyncio.run(call(answering(PAGE, headers=[HTML, length(PAGE), etag])))
    assert without_bar(body_of(sent)) == PAGE
    assert headers_of(sent)["content-length"] == str(len(body_of(sent)))
    assert headers_of(sent)["etag"] == 'W/"a"'
    for cut in (1, 10, len(PAGE) - 3):
        for headers in ([HTML, length(PAGE)], [HTML]):
            sent = asyncio.run(call(answering(PAGE[:cut], b"", PAGE[cut:], headers=headers)))
            assert without_bar(body_of(sent)) == PAGE
            assert [message["type"] for message in sent][:2] == ["http.response.start", "http.response.body"]
            assert [message.get("more_body", False) for message in sent][-1] is False


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"<p>fragment</p>", [HTML], 200),
        (b"<p>fragment</p>", [HTML, length(b"<p>fragment</p>")], 200),
        (b"{}", [(b"content-type", b"application/json")], 200),
        (b"", [], 204),
        (b"", [(b"etag", b'"a"')], 304),
        (b"</body>", [HTML, (b"content-range", b"bytes 0-6/9")], 206),
        (b"</body>", [HTML, (b"content-length", b"5")], 200),
        (b"</body>", [HTML, (b"content-length", b"9")], 200),
    ],
)
def test_what_is_no_whole_page_goes_out_byte_for_byte(body: bytes, headers: Any, status: int) -> None:
    sent = asyncio.run(call(answering(body, headers=headers, status=status)))
    assert (sent[0]["status"], body_of(sent)) == (status, body)
    assert "total" in metrics(headers_of(sent)["server-timing"])
    assert [pair for pair in sent[0]["headers"] if pair[0] not in {b"server-timing", b"link"}] == headers


def test_the_answer_to_head_does_not_say_a_length_that_get_would_not_have() -> None:
    sent = asyncio.run(call(answering(b"", headers=[HTML, length(PAGE)]), scope(method="HEAD")))
    assert "content-length" not in headers_of(sent)


def test_messages_that_nobody_knows_go_on_in_their_order() -> None:
    other = {"type": "http.response.trailers", "headers": []}

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.debug"})
        await send({"type": "http.response.start", "status": 200, "headers": [HTML, length(PAGE)], "trailers": True})
        await send({"type": "http.response.body", "body": PAGE[:4], "more_body": True})
        await send(other)

    sent = asyncio.run(call(application))
    assert [message["type"] for message in sent] == [
        "http.response.debug", "http.response.start", "http.response.body", "http.response.trailers",
    ]  # fmt: skip
    assert sent[1]["trailers"] is True and sent[2] == {
        "type": "http.response.body",
        "body": PAGE[:4],
        "more_body": True,
    }


def test_an_application_that_says_nothing_more_has_its_head_sent() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [HTML, length(PAGE)]})

    assert [message["type"] for message in asyncio.run(call(application))] == ["http.response.start"]


def test_a_trace_is_taken_over_and_passed_on_and_two_are_none() -> None:
    passed = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        passed.append((scope["greenscope.request"], dict(scope["headers"])))
        await answering(b"", headers=[])(scope, receive, send)

    header = (b"Traceparent", f"00-{TRACE}-{CALLER}-01".encode())
    state = (b"tracestate", b"a=b")
    for given in ([header, state, (b"x-request-id", b"id-1")], [header, header, state], [state]):
        asyncio.run(call(application, scope("/ä?", headers=given)))
        ((number, (text, *_)),) = requests_in(ring_path()).items()
        identity, what, line = text.split("\n")
        request, headers = passed.pop()
        assert what == "GET /%C3%A4%3F" and request == number
        assert headers[b"traceparent"].decode() == line.split()[0]
        one = given.count(header) == 1
        assert (line.endswith(f" {CALLER}"), TRACE in line, headers.get(b"tracestate")) == (
            one,
            one,
            b"a=b" if one else None,
        )
        assert (identity == "id-1") is one


def test_below_another_application_the_link_leads_to_where_it_is() -> None:
    sent = asyncio.run(call(answering(b"", headers=[]), scope("/shop/orders", root_path="/shop")))
    assert headers_of(sent)["link"].startswith(f"</shop/__greenscope__/#ring={ring_path().stem}&request=")


def test_a_websocket_is_a_request_that_ends_with_its_connection() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await asyncio.sleep(0.001)
        await send({"type": "websocket.close", "code": 1000})

    async def refusing(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.close", "code": 1008})

    given = scope("/ws", type="websocket")
    del given["method"]
    for application_, status in ((application, 101), (refusing, 403)):
        sent = asyncio.run(call(application_, given))
        assert sent[-1]["type"] == "websocket.close"
        ((text, *ended),) = requests_in(ring_path()).values()
        assert text.split("\n")[1] == "WEBSOCKET /ws" and ended == ["RETURNED", status, ""]


def test_the_applications_life_is_not_touched() -> None:
    seen = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope, receive, send))

    async def lifespan() -> None:
        life = {"type": "lifespan"}
        await AsgiDebugMiddleware(application, enabled=True)(life, received, received)  # type: ignore[arg-type]
        assert seen[0][0] is life and seen[0][1] is received

    asyncio.run(lifespan())


def test_a_shut_down_application_has_ended_in_good_order_whatever_signal_then_ends_the_server() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await send({"type": "lifespan.shutdown.complete"})
        else:
            await answering(PAGE)(scope, receive, send)

    heard: Messages = []

    async def hear(message: Any) -> None:
        heard.append(message)

    async def serve() -> str:
        await call(application)
        before = state(ring_path())
        life = {"type": "lifespan"}
        await AsgiDebugMiddleware(application, enabled=True)(life, received, hear)  # type: ignore[arg-type]
        return before

    assert asyncio.run(serve()) == "live"
    assert heard == [{"type": "lifespan.shutdown.complete"}]
    assert state(ring_path()) == "ended"


def state(path: Path) -> str:
    with contextlib.closing(RingReader(path)) as reader:
        return reader.state()


def test_what_is_done_after_the_response_is_not_the_requests() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await answering(PAGE)(scope, receive, send)
        mark("in the background")
        raise RuntimeError("nobody waits for this")

    with pytest.raises(RuntimeError):
        asyncio.run(call(application))
    with contextlib.closing(RingReader(ring_path())) as reader:
        kinds = [Kind(event.kind) for event in reader.read() if isinstance(event, Event)]
    assert kinds.index(Kind.REQUEST_END) < kinds.index(Kind.MARK)
    ((_, *ended),) = requests_in(ring_path()).values()
    assert ended == ["RETURNED", 200, ""]


def test_it_does_nothing_when_it_is_off_or_within_another() -> None:
    async def off() -> None:
        sent: Messages = []

        async def send(message: Any) -> None:
            sent.append(message)

        await AsgiDebugMiddleware(answering(PAGE))(scope(), received, send)
        assert sent[0]["headers"] == [HTML] and sent[1]["body"] == PAGE
        assert here.recorder is None

    asyncio.run(off())
    sent = asyncio.run(call(AsgiDebugMiddleware(answering(PAGE), enabled=True)))
    assert without_bar(body_of(sent)) == PAGE


# -- where there is no ring -----------------------------------------------------------------------------


def test_where_nothing_is_recorded_it_says_the_time_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENSCOPE", "0")
    sent = asyncio.run(call(answering(PAGE)))
    assert set(metrics(headers_of(sent)["server-timing"])) == {"total"}
    assert "link" not in headers_of(sent)
    assert b"Nothing is recorded here" in body_of(sent)


def test_each_thread_with_a_loop_has_a_ring() -> None:
    links: list[str] = []

    def run() -> None:
        links.append(headers_of(asyncio.run(call(answering(b""))))["link"])
        assert loop_ring._here.ring is not None
        loop_ring._here.ring.recorder.close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({re.split("[=&]", link)[1] for link in links}) == 2


@pytest.mark.parametrize("place", ["bar_of", "plan_of", "with_bar", "take_over", "ring_of"])
def test_a_fault_of_our_own_is_logged_once_and_the_response_goes_out(
    place: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(served, "_said", set())
    monkeypatch.setattr(f"greenscope.web.middleware.asgi.{place}", broken)
    caplog.set_level(logging.ERROR, "greenscope")
    for headers in ([HTML, length(PAGE)], [HTML], [HTML, length(PAGE)]):
        sent = asyncio.run(call(answering(PAGE, headers=headers)))
        body = body_of(sent)
        assert sent[0]["status"] == 200 and (without_bar(body) if place == "ring_of" else body) == PAGE
        assert headers_of(sent).get("content-length") in {None, str(len(body))}
    assert [record.message[:27] for record in caplog.records] == ["the debug middleware failed"]


def test_the_dashboards_websocket_is_refused_and_its_page_redirected() -> None:
    async def never(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError

    sent = asyncio.run(call(never, scope("/__greenscope__/api/rings/1/stream", type="websocket")))
    assert (sent[0]["type"], sent[0]["code"]) == ("websocket.close", 1008)
    sent = asyncio.run(call(never, scope("/shop/__greenscope__", root_path="/shop", query_string=b"a=1")))
    assert (sent[0]["status"], headers_of(sent)["location"]) == (307, "__greenscope__/?a=1")
    sent = asyncio.run(call(never, scope("/__greenscope__/", client=("10.0.0.1", 5))))
    assert sent[0]["status"] == 403
    assert here.recorder is None
