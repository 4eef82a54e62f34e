"""Processes: pipes that yield, ends that are waited for, and nothing left behind."""

from __future__ import annotations

import gc
import io
import os
import signal
import subprocess as stdlib
import sys
import threading
from pathlib import Path

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import subprocess
from greenscope.runtime.subprocess import PIPE, STDOUT, CalledProcessError, Popen, TimeoutExpired
from tests.runtime.conftest import settle


def descriptors() -> int:
    gc.collect()  # what earlier tests have left is not this one's
    return len(list(Path("/dev/fd").iterdir()))


@pytest.fixture(autouse=True)
def bounded(hub):
    """Everything in 30 seconds, and no descriptor, watcher or process left."""
    before = descriptors()
    with runtime.Timeout(30):
        yield
        settle()
    assert descriptors() == before
    assert not hub.loop._descriptors
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def python(source: str) -> list[str]:
    return [sys.executable, "-c", source]


ECHO = python("import sys; sys.stdout.write(sys.stdin.read())")
CAT = ["cat"]


def test_the_exceptions_and_results_are_the_standard_librarys():
    for name in ("TimeoutExpired", "CalledProcessError", "CompletedProcess", "SubprocessError", "PIPE", "DEVNULL"):
        assert getattr(subprocess, name) is getattr(stdlib, name)
    assert issubclass(Popen, stdlib.Popen)


def test_a_process_runs_while_other_greenlets_do():
    turns = []

    def count():
        while True:
            turns.append(1)
            runtime.sleep(0.001)

    counter = runtime.spawn(count)
    done = subprocess.run(["sleep", "0.05"])
    counter.kill()
    assert done.returncode == 0
    assert len(turns) > 5


def test_input_goes_in_and_output_comes_out_however_much_it_is():
    data = os.urandom(1_000_000)
    done = subprocess.run(CAT, input=data, capture_output=True)
    assert done.stdout == data
    assert done.stderr == b""


def test_text_and_its_line_ends():
    done = subprocess.run(python(r"print('a\r\nb\rc')"), stdout=PIPE, text=True)
    assert done.stdout == "a\nb\nc\n"
    done = subprocess.run(CAT, input="grün", stdout=PIPE, encoding="utf-16")
    assert done.stdout == "grün"


def test_both_outputs_are_read_together():
    both = python("import sys; sys.stdout.write('o' * 200000); sys.stderr.write('e' * 200000)")
    done = subprocess.run(both, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("o" * 200_000, "e" * 200_000)
    assert subprocess.check_output("echo a; echo b >&2", shell=True, stderr=STDOUT) == b"a\nb\n"


def test_a_failing_command():
    with pytest.raises(CalledProcessError) as raised:
        subprocess.check_output("echo out; exit 3", shell=True, text=True)
    assert (raised.value.returncode, raised.value.output) == (3, "out\n")
    with pytest.raises(CalledProcessError):
        subprocess.check_call(["false"])
    assert subprocess.check_call(["true"]) == 0
    assert subprocess.call(["false"]) == 1
    assert subprocess.getstatusoutput("echo x; exit 4") == (4, "x")
    assert subprocess.getoutput("echo y") == "y"


def test_arguments_that_exclude_each_other():
    for bad in (
        lambda: subprocess.run(CAT, input=b"", stdin=PIPE),
        lambda: subprocess.run(CAT, capture_output=True, stdout=PIPE),
        lambda: subprocess.check_output(CAT, stdout=PIPE),
    ):
        with pytest.raises(ValueError):
            bad()
    with pytest.raises(TypeError):
        Popen(CAT, bufsize="x")


def test_a_command_that_does_not_exist():
    with pytest.raises(FileNotFoundError):
        Popen(["/nonexistent/command"], stdin=PIPE, stdout=PIPE)
    with pytest.raises(NotADirectoryError):
        Popen(["true"], cwd="/dev/null")


def test_wait_with_a_time_that_is_over_can_be_repeated():
    with Popen(CAT, stdin=PIPE) as process:
        with pytest.raises(TimeoutExpired):
            process.wait(timeout=0.01)
        with pytest.raises(TimeoutExpired):
            process.wait(timeout=0)
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(timeout=10) == 0
        assert process.wait() == 0


def test_communicate_that_timed_out_keeps_what_was_read_and_what_is_to_be_written():
    source = """
import os, sys
sys.stdout.write('begin' * 20000); sys.stdout.flush()
os.read(int(sys.argv[1]), 1)
sys.stdout.write(str(len(sys.stdin.read())))
"""
    gate, release = os.pipe()
    command = [*python(source), str(gate)]
    with Popen(command, stdin=PIPE, stdout=PIPE, text=True, pass_fds=[gate]) as process:
        data = "y" * 500_000
        for given in (data, None, None):
            with pytest.raises(TimeoutExpired):
                process.communicate(given, timeout=0.3)
        os.write(release, b"x")
        stdout, _ = process.communicate(timeout=20)
    assert stdout == "begin" * 20_000 + str(len(data))
    os.close(gate)
    os.close(release)


def test_input_after_communication_has_begun_is_refused():
    with Popen(CAT, stdin=PIPE, stdout=PIPE) as process:
        with pytest.raises(TimeoutExpired):
            process.communicate(b"x" * 10, timeout=-1)
        with pytest.raises(ValueError):
            process.communicate(b"more")
        assert process.communicate()[0] == b"x" * 10


def test_a_process_that_does_not_read_its_input():
    done = subprocess.run(["true"], input=b"x" * 1_000_000, capture_output=True, timeout=20)
    assert done.returncode == 0


def test_run_ends_the_process_when_the_time_is_over():
    with pytest.raises(TimeoutExpired) as raised:
        subprocess.run("echo early; exec sleep 60", shell=True, capture_output=True, timeout=0.3)
    assert raised.value.output == b"early\n"
    for function in (subprocess.call, subprocess.check_call, subprocess.check_output):
        with pytest.raises(TimeoutExpired):
            function(["sleep", "60"], timeout=0.02)


@pytest.mark.parametrize("function", [subprocess.run, subprocess.call, subprocess.check_output])
def test_a_killed_greenlet_ends_the_process_it_ran(function):
    worker = runtime.spawn(function, ["sleep", "60"])
    settle()
    worker.kill()
    assert worker.ready()


def test_a_timeout_of_the_greenlet_ends_the_process_too():
    with pytest.raises(runtime.Timeout), runtime.Timeout(0.02):
        subprocess.run(["sleep", "60"], capture_output=True)


def test_a_greenlet_killed_in_wait_or_communicate_leaves_the_process_to_others():
    with Popen(CAT, stdin=PIPE, stdout=PIPE) as process:
        for function in (process.wait, process.communicate, process.stdout.read):
            worker = runtime.spawn(function)
            settle()
            worker.kill()
        process._communication_started = False
    assert process.returncode == 0


def test_several_greenlets_wait_for_one_process():
    with Popen(CAT, stdin=PIPE) as process:
        waiters = [runtime.spawn(process.wait) for _ in range(5)]
        settle()
        process.stdin.close()
        assert [waiter.get(timeout=10) for waiter in waiters] == [0] * 5


def test_pipes_yield_line_by_line():
    source = "import sys\nfor line in sys.stdin: print(line.strip() * 2, flush=True)"
    with Popen(python(source), stdin=PIPE, stdout=PIPE, text=True, bufsize=1) as process:
        for word in ("a", "b", "c"):
            reader = runtime.spawn(process.stdout.readline)
            settle()
            process.stdin.write(f"{word}\n")
            assert reader.get(timeout=10) == f"{word * 2}\n"
        process.stdin.close()
        assert list(process.stdout) == []


def test_the_files_are_of_the_standard_librarys_kinds():
    with Popen(CAT, stdin=PIPE, stdout=PIPE) as process:
        assert isinstance(process.stdin, io.BufferedWriter)
        assert isinstance(process.stdout, io.BufferedReader)
        process.stdin.write(b"buffered")
        process.stdin.close()
        assert process.stdout.read() == b"buffered"
    with Popen(CAT, stdin=PIPE, stdout=PIPE, bufsize=0) as process:
        assert isinstance(process.stdin, io.RawIOBase)
        assert process.stdin.write(b"x" * 200) == 200
        process.stdin.close()
        assert process.stdout.read() == b"x" * 200
    with Popen(CAT, stdin=PIPE, stdout=PIPE, encoding="latin-1", errors="replace") as process:
        assert isinstance(process.stdout, io.TextIOWrapper)
        assert (process.stdout.encoding, process.stdin.errors) == ("latin-1", "replace")


def test_a_pipe_closed_while_another_greenlet_reads_it():
    with Popen(CAT, stdin=PIPE, stdout=PIPE) as process:
        reader = runtime.spawn(process.stdout.read)
        settle()
        process.stdout.close()
        with pytest.raises((OSError, ValueError)):
            reader.get(timeout=10)
        assert process.stdout.closed


def test_many_greenlets_write_to_one_pipe():
    with Popen(CAT, stdin=PIPE, stdout=PIPE) as process:
        reader = runtime.spawn(process.stdout.read)
        block = b"x" * 50_000
        writers = [runtime.spawn(process.stdin.write, block) for _ in range(20)]
        assert [writer.get() for writer in writers] == [len(block)] * 20
        process.stdin.close()
        assert len(reader.get(timeout=10)) == 20 * len(block)


def test_a_pipe_handed_on_to_another_process_blocks_there_as_ever():
    with Popen(CAT, stdin=PIPE, stdout=PIPE) as first, Popen(CAT, stdin=first.stdout, stdout=PIPE) as second:
        reader = runtime.spawn(second.stdout.read)
        settle()
        assert os.get_blocking(first.stdout.fileno())
        assert os.get_blocking(first.stdin.fileno())
        first.stdin.write(b"through both")
        first.stdin.close()
        assert reader.get(timeout=10) == b"through both"


def test_signals_and_their_return_codes():
    with Popen(["sleep", "60"]) as process:
        process.terminate()
        assert process.wait(timeout=10) == -signal.SIGTERM
        process.send_signal(signal.SIGKILL)  # too late, and to nobody else
    with Popen(["sleep", "60"]) as process:
        process.kill()
    assert process.returncode == -signal.SIGKILL


def test_a_process_dropped_while_it_runs_is_said_and_reaped_later():
    process = Popen(CAT, stdin=PIPE)
    stdin = process.stdin
    with pytest.warns(ResourceWarning, match="still running"):
        del process
    stdin.close()
    while stdlib._active:
        stdlib._cleanup()
        runtime.sleep(0.001)


def test_a_pipe_dropped_is_closed_and_said():
    process = Popen(CAT, stdin=PIPE)
    with pytest.warns(ResourceWarning, match="unclosed file"):
        process.stdin = None
    assert process.wait(timeout=10) == 0


def test_the_ends_of_others_are_not_taken():
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 7"], os.environ)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert subprocess.call(["true"]) == 0
    assert os.waitpid(pid, 0) == (pid, 7 << 8)


def test_a_status_that_somebody_else_took():
    with Popen(CAT, stdin=PIPE) as process:
        waiter = runtime.spawn(process.wait)
        settle()
        process.stdin.close()
        os.waitpid(process.pid, 0)
        assert waiter.get(timeout=10) == 0


def test_the_arguments_of_starting_reach_the_process():
    source = "import os; print(os.getsid(0) == os.getpid(), os.umask(0), os.environ['NAME'], os.getcwd(), flush=True)"
    output = subprocess.check_output(
        python(source), start_new_session=True, umask=0o31, env={"NAME": "value"}, cwd="/", text=True
    )
    assert output == "True 25 value /\n"
    output = subprocess.check_output(python("import os; print(os.getpgrp() == os.getpid())"), process_group=0)
    assert output == b"True\n"
    called = []
    assert subprocess.call(["true"], preexec_fn=lambda: called.append(1)) == 0
    assert called == []
    with Popen(CAT, stdin=PIPE, stdout=PIPE, pipesize=65536) as process:
        process.stdin.close()


def test_two_hundred_at_once():
    def work(n):
        return int(subprocess.check_output(["sh", "-c", f"read line; echo {n}$line"], input=b"0\n"))

    workers = [runtime.spawn(work, n) for n in range(200)]
    assert [worker.get() for worker in workers] == [n * 10 for n in range(200)]


def test_in_a_thread_that_is_not_main():
    seen = []

    def work():
        workers = [runtime.spawn(subprocess.check_output, ["echo", str(n)]) for n in range(5)]
        seen.extend(int(worker.get(timeout=20)) for worker in workers)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(25)
    assert seen == list(range(5))


def test_processes_can_be_waited_for_among_other_things():
    slow, quick = Popen(["sleep", "60"]), Popen(["true"])
    assert runtime.wait([slow, runtime.Event(), quick], count=1) == [quick]
    assert quick.returncode == 0
    assert runtime.wait([quick]) == [quick]
    assert runtime.wait([slow], timeout=0.01) == []
    slow.kill()
    assert runtime.wait([slow]) == [slow]
    assert slow.returncode == -signal.SIGKILL
