"""The commands as a user types them: what they run, leave, print, and exit with."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from greenscope.cli.viewer import listen
from greenscope.trace.events import Kind, Spawn
from greenscope.trace.reader import RingReader
from greenscope.trace.recorder import open_recorder
from greenscope.trace.records import Event
from tests.waiting import until

COMMAND = (sys.executable, "-m", "greenscope")


def greenscope(*args: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run([*COMMAND, *map(str, args)], capture_output=True, text=True, timeout=60, **options)  # type: ignore[call-overload, no-any-return]


@contextlib.contextmanager
def running(*args: object, **options: object) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on; ended by its process number."""
    with subprocess.Popen([*COMMAND, *map(str, args)], stdout=-1, stderr=-1, text=True, **options) as child:  # type: ignore[call-overload]
        try:
            yield child
        finally:
            if child.poll() is None:
                child.kill()


def url_in(line: str) -> str:
    return next(word for word in line.split() if word.startswith("http://127.0.0.1:"))


def script(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(text))
    return path


def names_in(path: Path) -> set[str]:
    with contextlib.closing(RingReader(path)) as reader:
        return {
            reader.string(event.arg)
            for event in reader.read()
            if isinstance(event, Event) and event.kind == Kind.GREENLET_NAME
        }


SLEEPER = """
import sys
from greenscope.runtime import sleep, spawn
def work():
    sleep(0.01)
spawn(work).join()
print("arguments", sys.argv[1:])
"""


# -- record ----------------------------------------------------------------------------------------


def test_record_leaves_a_recording_that_is_no_larger_than_need_be(tmp_path: Path) -> None:
    done = greenscope("record", "-o", tmp_path / "a.gsr", script(tmp_path, SLEEPER), "--port", "-o", "x")
    assert done.stdout == "arguments ['--port', '-o', 'x']\n"
    assert done.returncode == 0
    assert f"greenscope serve {tmp_path / 'a.gsr'}" in done.stderr
    assert {"hub", "main", "work"} <= names_in(tmp_path / "a.gsr")
    assert (tmp_path / "a.gsr").stat().st_size < 4 << 20
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.gsr", "program.py"]


def test_record_runs_a_module_and_leaves_its_options_alone(tmp_path: Path) -> None:
    script(tmp_path, SLEEPER)
    done = greenscope("record", "-o", "a.gsr", "-m", "program", "-o", "b", "--help", cwd=tmp_path)
    assert done.stdout == "arguments ['-o', 'b', '--help']\n"
    assert "work" in names_in(tmp_path / "a.gsr")


@pytest.mark.parametrize(
    ("last_words", "code"),
    [
        ("sys.exit(7)", 7),
        ("os._exit(3)", 3),
        ("raise ValueError('no')", 1),
        ("os.kill(os.getpid(), signal.SIGKILL)", 128 + 9),
    ],
)
def test_record_keeps_what_happened_however_the_program_ends(tmp_path: Path, last_words: str, code: int) -> None:
    program = f"import os, signal\n{SLEEPER}{last_words}\n"
    done = greenscope("record", "-o", tmp_path / "a.gsr", script(tmp_path, program))
    assert done.returncode == code
    assert "work" in names_in(tmp_path / "a.gsr")


def test_record_gives_every_thread_a_file_of_its_own(tmp_path: Path) -> None:
    program = """
        import threading
        from greenscope.runtime import sleep, spawn
        def nap():
            sleep(0.001)
        spawn(nap).join()
        thread = threading.Thread(target=lambda: spawn(nap).join(), name="second")
        thread.start()
        thread.join()
        """
    done = greenscope("record", "-o", tmp_path / "a.gsr", script(tmp_path, program))
    assert done.returncode == 0
    with contextlib.closing(RingReader(tmp_path / "a-2.gsr")) as reader:
        assert reader.info.thread_name == "second"


def test_record_does_no_harm_to_a_child_that_outlives_the_program(tmp_path: Path) -> None:
    program = """
        import os, sys
        from greenscope.runtime import sleep, spawn
        reader, writer = os.pipe()
        if os.fork():
            os.read(reader, 1)  # until the child has its ring
            os._exit(0)
        spawn(sleep, 0).join()
        os.write(writer, b"x")
        sys.stdin.read()
        for _ in range(300):
            spawn(sleep, 0).join()
        print("the child is well", flush=True)
        """
    with running("record", "-o", tmp_path / "a.gsr", script(tmp_path, program), stdin=-1) as command:
        assert command.wait(20) == 0
        assert command.stdin is not None
        assert command.stdout is not None
        command.stdin.close()
        assert command.stdout.read() == "the child is well\n"


SAYS_ITS_SIGNAL = """
import signal, sys, threading
from greenscope.runtime import sleep, spawn
spawn(sleep, 0).join()
def end(number, frame):
    sys.exit(number)
signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGHUP, end)
print("ready", flush=True)
while True:
    sleep(0.01)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("command", ["record", "run"])
def test_what_asks_for_the_end_is_passed_on_to_the_program(tmp_path: Path, command: str, number: int) -> None:
    options = ("-o", tmp_path / "a.gsr") if command == "record" else ("--port", "0")
    with running(command, *options, script(tmp_path, SAYS_ITS_SIGNAL)) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(number)
        assert child.wait(20) == number
    assert (tmp_path / "a.gsr").exists() == (command == "record")


def test_a_program_that_makes_no_hub_leaves_no_recording_and_is_told_so(tmp_path: Path) -> None:
    done = greenscope("record", "-o", tmp_path / "a.gsr", script(tmp_path, "print('hello')"))
    assert (done.returncode, done.stdout) == (0, "hello\n")
    assert "made no hub" in done.stderr
    assert not (tmp_path / "a.gsr").exists()


# -- what is wrong is one line and exit code 2 ------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("run",), "nothing to run"),
        (("run", "-m"), "-m needs the name of a module"),
        (("run", "missing.py"), "there is no script 'missing.py'"),
        (("record", "missing.py"), "Missing option '-o'"),
        (("record", "-o", "no/such/dir/a.gsr", "-m", "this"), "no directory"),
        (("serve", "missing.gsr"), "'missing.gsr'"),
        (("serve", "--port", "99999"), "99999"),
        (("serve", "--stall-ms", "0", "."), "0"),
        (("serve", "--stall-ms", "nan", "."), "nan"),
        (("run", "."), "without a __main__.py"),
        (("nonsense",), "No such command 'nonsense'"),
    ],
)
def test_bad_input_gets_a_clear_line_and_exit_code_2(tmp_path: Path, args: tuple[str, ...], says: str) -> None:
    done = greenscope(*args, cwd=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_ring_is_refused_before_anything_is_served(tmp_path: Path) -> None:
    (tmp_path / "a.gsr").write_text("not a ring at all")
    done = greenscope("serve", tmp_path / "a.gsr")
    assert done.returncode == 2
    assert "is not a ring" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["run", "serve", "demo"])
def test_a_port_that_is_taken_is_said_so(tmp_path: Path, command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        program = [script(tmp_path, "print('it ran')")] if command == "run" else []
        done = greenscope(command, "--port", port, *program)
    assert done.returncode == 2
    assert f"port {port} on 127.0.0.1 cannot be used (Address already in use)" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("command", [(), ("run",), ("record",), ("serve",), ("demo",)])
def test_help_reads_well(command: tuple[str, ...]) -> None:
    done = greenscope(*command, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: greenscope")
    assert max(map(len, done.stdout.splitlines())) <= 100


# -- run and serve ----------------------------------------------------------------------------------


WAITS_FOR_INPUT = """
import sys, threading
from greenscope.runtime import sleep, spawn
done = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), done.set()), daemon=True).start()
while not done.is_set():
    sleep(0.01)
sys.exit(5)
"""


@pytest.mark.parametrize(
    "arguments",
    [["nosuch"], ["serve", "--port", "abc"], ["rings", "prune", "--older-than", "x"], ["events"], ["ps", "--nosuch"]],
)
def test_a_mistake_in_a_command_line_is_one_line_that_says_where_there_is_more(arguments: list[str]) -> None:
    done = greenscope(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("greenscope") and line.endswith("--help says more")


def test_run_serves_the_dashboard_while_the_program_runs_and_exits_with_its_code(tmp_path: Path) -> None:
    with running("run", "--port", "0", script(tmp_path, WAITS_FOR_INPUT), stdin=-1) as child:
        assert child.stderr is not None
        url = url_in(child.stderr.readline())
        until(lambda: [ring["state"] for ring in httpx.get(f"{url}/api/rings").json()["rings"]] == ["live"])
        child.communicate()
        assert child.returncode == 5
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


def test_run_keep_leaves_the_dashboard_until_ctrl_c(tmp_path: Path) -> None:
    with running("run", "--keep", "--port=0", script(tmp_path, SLEEPER + "sys.exit(4)")) as child:
        assert child.stderr is not None
        url = url_in(child.stderr.readline())
        assert "the program ended with 4" in child.stderr.readline()
        until(lambda: [ring["state"] for ring in httpx.get(f"{url}/api/rings").json()["rings"]] == ["ended"])
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == 4


def test_ctrl_c_ends_run_and_the_program(tmp_path: Path) -> None:
    program = "import os\nprint(os.getpid(), flush=True)\n" + WAITS_FOR_INPUT
    with running("run", "--port", "0", script(tmp_path, program), stdin=-1, start_new_session=True) as child:
        assert child.stdout is not None
        pid = int(child.stdout.readline())
        assert child.stderr is not None
        url = url_in(child.stderr.readline())
        until(lambda: httpx.get(f"{url}/api/rings").json()["rings"])
        os.killpg(child.pid, signal.SIGINT)  # as a terminal does
        assert child.wait(20) != 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_what_is_answered_does_not_wait_for_what_was_before_it_to_be_acknowledged() -> None:
    async def nodelay() -> int:
        accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = writer.get_extra_info("socket")
            accepted.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        async with await asyncio.start_server(connected, sock=(listener := listen(0))):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            writer.close()
            return await asyncio.wait_for(accepted, 10)

    assert asyncio.run(nodelay())


@pytest.mark.parametrize("ends_it", [signal.SIGTERM, signal.SIGHUP])
def test_serve_shows_a_recording(tmp_path: Path, ends_it: int) -> None:
    greenscope("record", "-o", tmp_path / "a.gsr", script(tmp_path, SLEEPER))
    with running("serve", "--port", "0", tmp_path / "a.gsr") as child:
        assert child.stderr is not None
        url = url_in(child.stderr.readline())
        (ring,) = httpx.get(f"{url}/api/rings").json()["rings"]
        assert (ring["id"], ring["state"]) == ("a", "ended")
        child.send_signal(ends_it)
        assert child.wait(20) == 0


def test_serve_without_arguments_shows_what_runs_now_and_killing_it_disturbs_nobody() -> None:
    recorder = open_recorder(1, "MainThread")
    recorder.spawn(Spawn.HUB, recorder.string("hub"), 0, 0)
    with running("serve", "--port", "0") as child:
        assert child.stderr is not None
        url = url_in(child.stderr.readline())
        until(lambda: httpx.get(f"{url}/api/rings").json()["rings"])
        child.kill()
        child.wait(20)
    recorder.poll_begin(1)
    recorder.close()


def test_record_keeps_rings_as_large_as_asked_and_those_of_all_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few of dead processes are kept otherwise."""
    monkeypatch.setenv("GREENSCOPE_KEEP_RINGS", "1")
    program = script(
        tmp_path,
        """
        import os
        from greenscope import runtime
        runtime.sleep(0)
        for _ in range(5):
            child = os.fork()
            if child == 0:
                runtime.sleep(0)
                os._exit(0)
            os.waitpid(child, 0)
            os.utime(os.environ["GREENSCOPE_DIR"] + "/.pruned", (0, 0))  # it is due at once
        print(runtime.get_hub().recorder.path.stat().st_size)
        """,
    )
    done = greenscope("record", "-o", tmp_path / "a.gsr", "--ring-mb", "3", program)
    assert done.returncode == 0, done.stderr
    assert 3 << 20 < int(done.stdout) < 8 << 20
    assert len(list(tmp_path.glob("a*.gsr"))) == 6
