"""gunicorn's workers on this runtime, under load, beside gevent's: what its signals, limits and deaths do and leave."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from fcntl import LOCK_EX, flock
from pathlib import Path

import pytest

from greenscope.trace.events import Kind
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event
from greenscope.trace.rings import rings_in
from tests.integrations.gunicorns import HERE, OURS, SECONDS, Gunicorn, Load, gunicorn, raw, until

CERTIFICATE = HERE.parent / "runtime" / "localhost.pem"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gunicorn, Gunicorn]]:
    """Two workers each: ours, and gevent's."""
    with ExitStack() as stack:
        directory = tmp_path_factory.mktemp("gunicorn")
        options = ("--keep-alive", "10", "--graceful-timeout", "5")
        ours = stack.enter_context(gunicorn(directory / "ours", *options))
        theirs = stack.enter_context(gunicorn(directory / "theirs", *options, kind="gevent"))
        yield ours, theirs


@pytest.fixture
def ours(both: tuple[Gunicorn, Gunicorn]) -> Gunicorn:
    return both[0]


def diagnosed(path: Path | str) -> list[dict[str, object]]:
    """What ``greenscope diagnose`` finds in a ring."""
    command = [sys.executable, "-m", "greenscope", "diagnose", "--json", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    findings: list[dict[str, object]] = json.loads(done.stdout)["findings"]
    return findings


def requests_in(served: Gunicorn) -> tuple[dict[str, tuple[int, int]], dict[tuple[int, int], tuple[int, str]]]:
    """Those of all workers: which worker's each text is, and its number; and with what they ended."""
    begun, ended = {}, {}
    for pid in served.workers():
        with closing(RingReader(served.ring_of(pid).path)) as reader:
            for event in reader.read():
                if isinstance(event, Event) and event.kind == Kind.REQUEST_BEGIN:
                    begun[event.text] = pid, event.arg & 0xFFFFFFFF
                elif isinstance(event, Event) and event.kind == Kind.REQUEST_END:
                    ended[pid, event.arg & 0xFFFFFFFF] = event.aux, reader.string(event.arg >> 32)
    return begun, ended


def open_logs(served: Gunicorn) -> set[str]:
    """The access logs that its workers have open."""
    found = set()
    for worker in served.workers():
        with suppress(OSError):  # a worker that ends, or a descriptor that was closed just now
            found |= {os.readlink(path) for path in Path(f"/proc/{worker}/fd").iterdir()}
    return {name for name in found if "/access." in name}


def test_each_worker_has_a_ring_called_after_it_and_the_arbiter_has_none(ours: Gunicorn) -> None:
    until(lambda: {ring.pid for ring in rings_in(ours.traces)} == ours.workers(), "a ring for each worker")
    assert {ring.thread_name for ring in rings_in(ours.traces)} == {"gunicorn worker 1", "gunicorn worker 2"}
    assert {ring.state for ring in rings_in(ours.traces)} == {"live"}


def test_a_request_is_in_its_workers_ring_with_its_id_its_trace_and_its_status(ours: Gunicorn) -> None:
    assert ours.get("/fails?why=not", **{"X-Request-ID": "abc-1"})[0] == 500
    traceparent = f"00-{'a' * 32}-{'b' * 16}-01"
    status, body = ours.get("/work?a=1", **{"X-Request-ID": "abc-2", "traceparent": traceparent})
    pid, number, *_ = body.split()
    until(lambda: (int(pid), int(number)) in requests_in(ours)[1], "the end of the request")
    begun, ended = requests_in(ours)
    (text,) = (text for text, request in begun.items() if request == (int(pid), int(number)))
    assert re.fullmatch(rf"abc-2\nGET /work\n00-a{{32}}-[0-9a-f]{{16}}-01 {'b' * 16}", text), text
    assert status == 200
    assert ended[int(pid), int(number)] == (200, "")
    assert ended[begun["abc-1\nGET /fails"]] == (500, "ValueError")
    assert "ValueError: this application fails" in ours.log


def test_files_streams_and_bodies_pass_as_with_gevent(both: tuple[Gunicorn, Gunicorn]) -> None:
    answers = []
    for served in both:
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=SECONDS)
        answer = []
        for method, path, body in (("GET", "/file", None), ("GET", "/streamed", None), ("POST", "/", b"x" * 100_000),
                                   ("HEAD", "/", None), ("POST", "/", iter([b"in ", b"pieces"]))):  # fmt: skip
            connection.request(method, path, body)  # all of them over one connection
            response = connection.getresponse()
            text = response.read()
            headers = {name: value for name, value in response.getheaders() if name not in {"Date", "Content-Length"}}
            answer.append(
                (response.status, text if "file" in path or "streamed" in path else text.split()[-1:], headers)
            )
        connection.close()
        answers.append(answer)
    assert answers[0] == answers[1]
    assert answers[0][0][1] == (HERE / "served_app.py").read_bytes()
    assert [answer[1] for answer in answers[0][1:]] == [b"0\n1\n2\n", [b"100000"], [], [b"9"]]


def test_a_reload_under_load_loses_no_request(both: tuple[Gunicorn, Gunicorn]) -> None:
    before = [served.workers() for served in both]
    with ExitStack() as stack:
        loads = [stack.enter_context(Load(served)) for served in both]
        wrk = shutil.which("wrk")
        if wrk is not None:
            command = [wrk, "-t1", "-c10", "-d3s", "--timeout", "20s", f"http://127.0.0.1:{both[0].port}/work"]
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        for served in both:
            served.send(signal.SIGHUP)
        until(lambda: not both[0].workers() & before[0], "the end of the old workers")  # one of gevent's may linger
        for old, load in zip(before, loads, strict=True):
            load.answered_by_others_than(old)
        if wrk is not None:
            said = process.communicate(timeout=SECONDS)[0]
            assert "requests in" in said and "Socket errors" not in said and "Non-2xx" not in said, said
    for load in loads:
        assert (load.lost, load.refused) == ([], 0)
    ended = {ring.pid: ring.state for ring in rings_in(both[0].traces)}
    assert {ended[pid] for pid in before[0]} == {"ended"}


def test_workers_come_and_go_with_TTIN_and_TTOU_and_logs_are_opened_anew_with_USR1(ours: Gunicorn) -> None:
    with Load(ours) as load:
        ours.send(signal.SIGTTIN)
        until(lambda: len(ours.workers()) == 3, "a third worker")
        load.answers_more(50)
        ours.send(signal.SIGTTOU)
        until(lambda: len(ours.workers()) == 2, "two workers")
        log = ours.directory / "access.log"
        log.rename(log.with_suffix(".old"))
        ours.send(signal.SIGUSR1)
        until(lambda: log.exists() and log.stat().st_size, "the new log's first line")
        load.answers_more(50)
        until(lambda: open_logs(ours) == {str(log)}, "workers that have let go of the old log")
    assert (load.lost, load.refused) == ([], 0)
    line = log.read_text().splitlines()[-1]
    assert re.fullmatch(r'127\.0\.0\.1 - - \[.+\] "GET /work HTTP/1\.1" 200 \d+ "-" "-"', line), line


def is_over(pid: int) -> bool:
    """Whether a process has ended: it may do so while it is looked at, and its parent may not have asked for it."""
    try:
        return not Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_USR2_of_a_worker_is_a_snapshot_and_of_the_arbiter_a_second_arbiter(ours: Gunicorn) -> None:
    (pid, *_) = ours.workers()
    ours.get()
    os.kill(pid, signal.SIGUSR2)
    until(lambda: [ring.pid for ring in rings_in(ours.traces / "snapshots")] == [pid], "a snapshot")
    assert pid in ours.workers()
    ours.send(signal.SIGUSR2)
    until(lambda: ours.log.count("Listening at") == 2, "a second arbiter")
    second = int(re.findall(r"Listening at: \S+ \((\d+)\)", ours.log)[-1])
    try:
        both_have = Path(f"/proc/{second}/task/{second}/children")
        until(lambda: len(both_have.read_text().split()) == 2, "its workers")
        workers = {int(pid) for pid in both_have.read_text().split()}
        until(lambda: workers <= {ring.pid for ring in rings_in(ours.traces)}, "their rings")
        assert not {second, ours.pid} & {ring.pid for ring in rings_in(ours.traces)}
    finally:
        os.kill(second, signal.SIGTERM)
        until(lambda: is_over(second), "the second's end")
    assert ours.get()[0] == 200


def test_a_worker_that_is_killed_loses_what_it_had_and_nothing_else(both: tuple[Gunicorn, Gunicorn]) -> None:
    for served in both:
        before = served.workers()
        with Load(served) as load:
            (victim, *_) = before & {load.answers[-1]} or before
            os.kill(victim, signal.SIGKILL)
            until(lambda served=served, before=before: len(served.workers() - before) == 1, "one in its place")
            load.answers_more(100)
        assert load.refused == 0
        assert {pid for pid, _ in load.lost} <= {victim, 0}
        assert len(load.lost) <= 8, load.lost  # what eight clients had sent to it
        if served is both[0]:
            assert served.ring_of(victim).state == "died"


def test_no_worker_has_anything_wrong_with_it(ours: Gunicorn) -> None:
    """The last of those that share it, which have left rings of all kinds."""
    patience = [
        word for name in ("stall_ms", "starved_ms", "hog_slice_ms") for word in ("--threshold", f"{name}=60000")
    ]
    for pid in ours.workers():
        command = [sys.executable, "-m", "greenscope", "diagnose", *patience, str(ours.ring_of(pid).path)]
        said = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True).stdout
        assert "nothing is wrong" in said, said


def test_TERM_under_load_finishes_what_was_begun(tmp_path: Path) -> None:
    with ExitStack() as stack:
        both = [stack.enter_context(gunicorn(tmp_path / kind, kind=kind)) for kind in ("gevent", OURS)]
        loads = [stack.enter_context(Load(served, "/work", refused_is_end=True)) for served in both]
        held = [stack.enter_context(Load(served, "/long", clients=3, refused_is_end=True)) for served in both]
        for served in both:
            served.send(signal.SIGTERM)
        for served in both:
            assert served.ends() == 0
        for load in loads + held:
            load.wait()
    theirs, mine = ([*pair[0].lost, *pair[1].lost] for pair in zip(loads, held, strict=True))
    assert mine == [], f"gevent's lost {len(theirs)}"
    assert {ring.state for ring in rings_in(both[1].traces)} == {"ended"}


def test_max_requests_under_load_lose_none(tmp_path: Path) -> None:
    options = ("--max-requests", "60", "--max-requests-jitter", "30", "--keep-alive", "10")
    with ExitStack() as stack:
        both = [stack.enter_context(gunicorn(tmp_path / kind, *options, kind=kind)) for kind in (OURS, "gevent")]
        loads = [stack.enter_context(Load(served)) for served in both]
        for served, load in zip(both, loads, strict=True):
            until(lambda served=served: served.log.count("Autorestarting") >= 4, "four workers that had enough")
            load.answers_more(50)
    for load in loads:
        assert (load.lost, load.refused) == ([], 0)
    # Some too many: each connection that a worker has, or takes from the queue, is told to close by its next answer.
    for pid in {*loads[0].answers}:
        assert loads[0].answers.count(pid) <= 60 + 30 + 4 * 8


def test_QUIT_ends_at_once_what_TERM_would_wait_for(tmp_path: Path) -> None:
    for number in (signal.SIGQUIT, signal.SIGINT):
        with gunicorn(tmp_path / number.name) as served, Load(served, "/long", clients=2, refused_is_end=True):
            workers = served.workers()
            served.send(number)
            assert served.ends() == 0
            assert {served.ring_of(pid).state for pid in workers} == {"ended"}


@pytest.mark.usefixtures("default_stalls")
def test_a_worker_that_is_killed_for_its_timeout_leaves_a_ring_that_says_at_which_line_it_hung(tmp_path: Path) -> None:
    directory = tmp_path / "hangs"
    with gunicorn(directory, "--timeout", "2") as served, open(directory / "locked", "w") as held:
        flock(held, LOCK_EX)
        for path, expected, line, state in (
            ("/lock", {"blocking-call"}, "fcntl.flock(file, fcntl.LOCK_EX)", "ended"),
            ("/hash", {"hub-blocked", "blocking-call"}, "hashlib.pbkdf2_hmac(", "died"),
        ):
            before = served.workers()
            asked = socket.create_connection(("127.0.0.1", served.port), timeout=SECONDS)
            asked.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            until((directory / "hangs").exists, "a worker that hangs")
            (directory / "hangs").unlink()
            (victim,) = until(lambda before=before: before - served.workers(), "the end of the worker that hangs")
            asked.close()
            assert f"WORKER TIMEOUT (pid:{victim})" in served.log
            ring = served.ring_of(victim)
            assert ring.state == state
            found = {finding["id"]: finding for finding in diagnosed(ring.path)}
            (finding,) = (finding for name, finding in found.items() if name in expected)
            source = (HERE / "served_app.py").read_text().splitlines()
            assert finding["site"]["file"].endswith("served_app.py")
            assert line in source[finding["site"]["line"] - 1]
            with closing(RingReader(ring.path)) as reader:
                marks = [event.text for event in reader.read() if isinstance(event, Event) and event.kind == Kind.MARK]
            assert marks == (["gunicorn gave up on this worker: no sign of life for 2 s"] if state == "ended" else [])
            until(lambda: len(served.workers()) == 2, "one in its place")
        assert served.get()[0] == 200


def test_limits_unix_sockets_and_several_binds_are_gunicorns(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    options = ("--bind", f"unix:{path}", "--limit-request-line", "100", "--limit-request-fields", "5",
               "--worker-connections", "2", "--keep-alive", "1", "--proxy-protocol", "--proxy-allow-from", "*",
               "--forwarded-allow-ips", "*", "--graceful-timeout", "1")  # fmt: skip
    with gunicorn(tmp_path / "limits", *options, workers=1) as served:
        port = int(until(lambda: re.search(r"http://127\.0\.0\.1:(\d+)", served.log), "a port")[1])
        address = ("127.0.0.1", port)
        get = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
        end = b"Connection: close\r\n\r\n"
        assert raw(path, get + end, socket.AF_UNIX).startswith(b"HTTP/1.1 200 OK\r\n")
        assert raw(address, b"GET /" + b"x" * 100 + b" HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 4")
        assert raw(address, get + b"".join(b"X-%d: 1\r\n" % n for n in range(9)) + end).startswith(b"HTTP/1.1 4")
        proxied = raw(address, b"PROXY TCP4 10.1.2.3 127.0.0.1 1234 80\r\n" + get + end)
        assert proxied.split(b"\r\n\r\n")[1].split()[3] == b"10.1.2.3"
        secure = raw(address, get + b"X-Forwarded-Proto: https\r\n" + end)
        assert secure.split(b"\r\n\r\n")[1].split()[2] == b"https"
        # Two connections hold both places, over both binds; a third waits until keep-alive has had enough of them.
        with socket.socket(socket.AF_UNIX) as first, socket.create_connection(address) as second:
            first.connect(path)
            first.sendall(get + b"\r\n")
            second.sendall(get + b"\r\n")
            assert first.recv(9) == second.recv(9) == b"HTTP/1.1 "
            begun = time.monotonic()
            assert raw(address, get + end).startswith(b"HTTP/1.1 200 OK\r\n")
            assert time.monotonic() - begun > 0.3  # it was not served beside them
        # A request that takes longer than a worker has for its end is cut off, and nothing is written into its answer.
        (worker,) = served.workers()
        with socket.create_connection(address, timeout=SECONDS) as client:
            client.sendall(get.replace(b"/", b"/forever", 1) + b"\r\n")
            until((served.directory / "waits").exists, "a request that waits")
            os.kill(worker, signal.SIGTERM)
            assert client.recv(100) == b""
        until(lambda: served.workers() - {worker}, "a worker in its place")
        assert f"Worker graceful timeout (pid:{worker})" in served.log
        assert served.ring_of(worker).state == "ended"


@pytest.mark.parametrize("on_connect", [True, False])
def test_TLS_preloading_and_reloading(tmp_path: Path, on_connect: bool) -> None:
    shutil.copy(HERE / "served_app.py", tmp_path / "served_app.py")
    options = ["--certfile", str(CERTIFICATE), "--keyfile", str(CERTIFICATE), "--pythonpath", str(tmp_path)]
    options += ["--do-handshake-on-connect", "--preload"] if on_connect else ["--reload", "--reload-engine", "poll"]
    with gunicorn(tmp_path / "tls", *options, workers=1) as served:
        context = ssl.create_default_context(cafile=CERTIFICATE)

        def ask() -> str:
            connection = http.client.HTTPSConnection("localhost", served.port, context=context, timeout=SECONDS)
            with closing(connection):
                connection.request("GET", "/work")
                return connection.getresponse().read().decode()

        pid, _, scheme, address, _ = ask().split()
        assert (scheme, address) == ("https", "127.0.0.1")
        raw(("127.0.0.1", served.port), b"GET / HTTP/1.1\r\n\r\n")  # no TLS at all
        assert ask().split()[0] == pid
        assert served.pid not in {ring.pid for ring in rings_in(served.traces)}
        assert "Traceback" not in served.log
        if not on_connect:
            os.utime(tmp_path / "served_app.py")
            until(lambda: served.workers() and int(pid) not in served.workers(), "a worker with the new code")
            assert ask().split()[0] != pid
        served.send(signal.SIGTERM)
        assert served.ends() == 0
        assert served.stderr() == ""
