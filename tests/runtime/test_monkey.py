"""Patching, in processes of its own: what is replaced, what is kept, and what is said about the rest."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from greenscope.runtime import monkey

Result = subprocess.CompletedProcess[str]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the program is."""
    made = tmp_path / "program"
    made.mkdir()
    return made


@pytest.fixture
def run(directory: Path) -> Callable[..., Result]:
    """Runs a program, patched in its first line unless told otherwise; warnings are errors."""

    def run(source: str, *arguments: str, patch: bool = True, errors: bool = True) -> Result:
        program = directory / "program.py"
        first = "from greenscope.runtime import monkey; monkey.patch_all()\n" if patch else ""
        program.write_text(first + textwrap.dedent(source), encoding="utf-8")
        warnings = ["-W", "error"] if errors else ["-W", "always"]
        command = [sys.executable, *warnings, str(program), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=directory, check=False)

    return run


def answer(result: Result) -> str:
    """What a program printed; it must have said nothing else, and ended well."""
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


# What is replaced.


def test_threads_are_greenlets_and_wait_side_by_side(run):
    result = run(
        """
        import queue, threading, time
        from greenscope.runtime import Greenlet, getcurrent

        done = queue.Queue()
        here = threading.get_native_id()

        def work(number):
            time.sleep(0.05 * (3 - number))
            done.put((number, isinstance(getcurrent(), Greenlet), threading.get_native_id() == here))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print([done.get_nowait() for _ in threads])
        print(len({thread.ident for thread in threads} | {threading.get_ident()}))
        """
    )
    assert answer(result) == f"{[(2, True, True), (1, True, True), (0, True, True)]}\n4\n"


def test_the_main_thread_stays_the_main_thread(run):
    result = run(
        """
        import _thread, threading

        before = monkey.get_original("_thread", "get_ident")()
        assert threading.get_ident() == _thread.get_ident() == before == threading.main_thread().ident
        assert threading.current_thread() is threading.main_thread()
        found = []
        thread = threading.Thread(target=lambda: found.append(threading.current_thread()))
        thread.start()
        thread.join()
        assert found == [thread] and not thread.is_alive()
        assert threading.enumerate() == [threading.main_thread()]
        """
    )
    answer(result)


def test_a_program_of_servers_and_clients_runs_in_one_thread(run):
    result = run(
        """
        import http.server, socketserver, threading, urllib.request

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = self.path.encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            serving.start()
            address = f"http://127.0.0.1:{server.server_port}"
            got = {}

            def fetch(number):
                with urllib.request.urlopen(f"{address}/{number}") as response:
                    got[number] = response.read().decode()

            clients = [threading.Thread(target=fetch, args=(number,)) for number in range(20)]
            for client in clients:
                client.start()
            for client in clients:
                client.join()
            server.shutdown()
            serving.join()
        assert got == {number: f"/{number}" for number in range(20)}, got
        """
    )
    answer(result)


def test_executors_run_their_calls_in_greenlets(run):
    result = run(
        """
        import concurrent.futures, time

        def work(number):
            time.sleep(0.01)
            if number == 3:
                raise ValueError("three")
            return number * number

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            futures = [pool.submit(work, number) for number in range(8)]
            done, waiting = concurrent.futures.wait(futures)
            assert len(done) == 8 and not waiting
            print([future.exception() and "failed" or future.result() for future in futures])
            print(list(pool.map(work, [5, 6, 7])))
        """
    )
    assert answer(result) == "[0, 1, 4, 'failed', 16, 25, 36, 49]\n[25, 36, 49]\n"


def test_records_of_many_threads_are_written_whole(run):
    result = run(
        """
        import logging, sys, threading, time

        class Slow(logging.StreamHandler):
            def emit(self, record):
                self.stream.write("<")
                time.sleep(0)
                self.stream.write(record.getMessage())
                time.sleep(0)
                self.stream.write(">\\n")

        logging.basicConfig(handlers=[Slow(sys.stdout)], level=logging.INFO)

        def work(number):
            for _ in range(5):
                logging.info("%s", number)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        """
    )
    lines = answer(result).splitlines()
    assert sorted(lines) == sorted(f"<{number}>" for number in range(10) for _ in range(5))


def test_a_handler_that_existed_before_the_patching_has_a_green_lock(run):
    result = run(
        """
        import logging
        handler = logging.StreamHandler()
        from greenscope.runtime import monkey, thread
        monkey.patch_all()
        assert isinstance(handler.lock, thread.RLock)
        assert isinstance(logging._lock, thread.RLock)
        """,
        patch=False,
    )
    answer(result)


def test_a_free_lock_in_the_globals_of_a_module_becomes_green_and_one_that_others_know_stays(run):
    result = run(
        """
        import sys, threading, types
        module = types.ModuleType("some_module")
        sys.modules["some_module"] = module
        module.alone = threading.Lock()
        module.shared = threading.Lock()
        module.condition = threading.Condition(module.shared)
        module.held = threading.Lock()
        module.held.acquire()
        from greenscope.runtime import monkey, thread
        monkey.patch_all()
        green = [name for name in ("alone", "shared", "held") if isinstance(getattr(module, name), thread.LockType)]
        print(green)
        """,
        patch=False,
    )
    assert answer(result) == "['alone']\n"


def test_a_queue_a_condition_and_an_event_made_before_the_patching_still_work(run):
    result = run(
        """
        import queue, threading
        items, event, condition = queue.Queue(1), threading.Event(), threading.Condition()
        from greenscope.runtime import monkey
        monkey.patch_all()
        got = []

        def work():
            event.wait()
            for _ in range(3):
                got.append(items.get())
            with condition:
                condition.notify()

        thread = threading.Thread(target=work)
        with condition:
            thread.start()
            event.set()
            for item in range(3):
                items.put(item)
            condition.wait()
        thread.join()
        print(got)
        """,
        patch=False,
    )
    assert answer(result) == "[0, 1, 2]\n"


def test_timers_fire_and_can_be_cancelled(run):
    result = run(
        """
        import threading
        fired = threading.Event()
        first = threading.Timer(0.02, fired.set)
        second = threading.Timer(60, print, ["never"])
        first.start(); second.start()
        assert fired.wait(30)
        second.cancel()
        second.join()
        """
    )
    answer(result)


def test_every_thread_has_locals_of_its_own(run):
    result = run(
        """
        import threading
        values = threading.local()
        values.name = "main"
        seen = []

        def work(number):
            seen.append(hasattr(values, "name"))
            values.name = number
            threading.Event().wait(0.01)
            seen.append(values.name == number)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert seen == [False] * 3 + [True] * 3 and values.name == "main", seen
        """
    )
    answer(result)


def test_every_thread_has_a_context_of_its_own(run):
    result = run(
        """
        import contextvars, threading, time
        name = contextvars.ContextVar("name", default="none")
        name.set("main")
        seen = []

        def work(number):
            seen.append(name.get())
            name.set(number)
            time.sleep(0.01)
            seen.append(name.get())

        threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(seen, name.get())
        """
    )
    assert answer(result) == "['none', 'none', 0, 1] main\n"


def test_a_module_that_waits_while_it_is_imported_is_imported_once(run, directory):
    (directory / "slow.py").write_text(
        "import __main__\nprint('imported')\n__main__.inside.set()\n__main__.go_on.wait()\nvalue = 1\n",
        encoding="utf-8",
    )
    result = run(
        """
        import threading
        inside, go_on = threading.Event(), threading.Event()
        def work():
            import slow
            assert slow.value == 1
        threads = [threading.Thread(target=work) for _ in range(5)]
        for thread in threads: thread.start()
        inside.wait()
        go_on.set()
        for thread in threads: thread.join()
        """
    )
    assert answer(result) == "imported\n"


def test_a_greenlet_that_asks_for_its_thread_leaves_nothing_behind(run):
    result = run(
        """
        import gc, threading
        from greenscope import runtime
        names = []
        def work():
            names.append(threading.current_thread().name)
        def named():
            runtime.getcurrent().name = "reader"
            work()
        runtime.joinall([runtime.spawn(work), runtime.spawn(named)])
        runtime.sleep(0)  # the last thing that one waited for is known until one waits again
        gc.collect()
        assert names[0].startswith("work #") and names[1] == "reader", names
        assert threading.enumerate() == [threading.main_thread()], threading.enumerate()
        """
    )
    answer(result)


def test_the_runtime_and_the_recorder_never_use_what_was_put_in_the_originals_place(run):
    patched = json.loads(
        answer(run("import json\nprint(json.dumps({name: sorted(names) for name, names in monkey.saved.items()}))"))
    )
    root = Path(monkey.__file__).parents[2]
    wrong = []
    traced = [*(root / "runtime").glob("*.py"), *(root / "trace").glob("*.py")]
    traced.remove(root / "trace" / "stacks.py")  # asks a traced process from outside
    for path in traced:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        modules = {
            alias.asname or alias.name: alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.Lambda)):
            body = function.body if isinstance(function.body, list) else [function.body]
            for node in (inner for statement in body for inner in ast.walk(statement)):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                    module = modules.get(node.value.id, "")
                    if node.attr in patched.get(module, ()):
                        wrong.append(f"{path.name}: {module}.{node.attr}")
    meant = {
        "socket.py: socket.getaddrinfo",  # what a program puts there, a test's stand-in say, is used
        "socket.py: socket.socket",
        "ssl.py: ssl.SSLContext",  # at import
    }
    assert set(wrong) - meant == set()


# Native threads.


def test_the_originals_are_kept(run):
    result = run(
        """
        import _socket, _thread, queue, socket, threading, time
        from greenscope import runtime

        assert monkey.get_original("time", "sleep") is not time.sleep
        assert type(monkey.get_original("time", "sleep")).__name__ == "builtin_function_or_method"
        original, ident = monkey.get_original("threading", ["_allocate_lock", "get_ident"])
        assert type(original()).__name__ == "lock" and ident is not threading.get_ident
        assert issubclass(monkey.get_original("socket", "socket"), _socket.socket)
        assert monkey.get_original("json", "dumps")
        assert monkey.is_module_patched("time") and not monkey.is_module_patched("json")
        assert monkey.is_object_patched("time", "sleep") and not monkey.is_object_patched("time", "time")
        assert monkey.is_anything_patched()
        assert monkey.saved["time"]["sleep"] is monkey.get_original("time", "sleep")
        """
    )
    answer(result)


def test_a_native_thread_can_still_be_had_and_shares_locks_queues_and_events(run):
    result = run(
        """
        import queue, sys, threading, time
        start = monkey.get_original("_thread", "start_new_thread")
        lock, items, told = threading.RLock(), queue.Queue(), threading.Event()
        main = threading.get_native_id()

        def native():
            assert threading.get_native_id() != main
            with lock:
                items.put(threading.current_thread().name)
            told.wait()
            items.put("told")

        with lock:
            start(native, ())
            threading.Event().wait(0.05)
            assert items.empty()
        assert items.get().startswith("Dummy")
        told.set()
        assert items.get() == "told"
        while len(sys._current_frames()) > 1:  # an interpreter that ends under a dummy thread says so, on stderr
            time.sleep(0.001)
        """
    )
    answer(result)


def test_a_native_thread_that_ran_before_the_patching_can_be_joined(run):
    result = run(
        """
        import threading, time
        go = threading.Event()
        old = threading.Thread(target=go.wait)
        old.start()
        from greenscope.runtime import monkey
        monkey.patch_all()
        ticks = []

        def tick():
            while not ticks or ticks[-1] < 5:
                ticks.append(len(ticks))
                time.sleep(0.01)
            go.set()

        old.join(0.01)
        assert old.is_alive()
        threading.Thread(target=tick).start()
        old.join()
        assert not old.is_alive() and ticks[-1] == 5
        """,
        patch=False,
    )
    answer(result)


def test_a_thread_can_join_the_main_one(run):
    result = run(
        """
        import threading
        def work():
            threading.main_thread().join()
            print("main ended")
        threading.Thread(target=work).start()
        print("main ends")
        """
    )
    assert answer(result) == "main ends\nmain ended\n"


def test_the_program_ends_when_all_but_daemons_have(run):
    result = run(
        """
        import threading, time
        def work(seconds, word):
            time.sleep(seconds)
            print(word)
        threading.Thread(target=work, args=(0.1, "waited for")).start()
        threading.Thread(target=work, args=(60, "not waited for"), daemon=True).start()
        """
    )
    assert answer(result) == "waited for\n"


def test_what_a_thread_raises_is_the_excepthooks(run):
    result = run(
        """
        import threading
        def work():
            raise ValueError("of a thread")
        seen = []
        thread = threading.Thread(target=work)
        threading.excepthook = lambda arguments: seen.append((arguments.exc_type, arguments.thread is thread))
        thread.start(); thread.join()
        assert seen == [(ValueError, True)], seen
        threading.excepthook = threading.__excepthook__
        thread = threading.Thread(target=work, name="unlucky")
        thread.start(); thread.join()
        """
    )
    assert result.returncode == 0
    assert "Exception in thread unlucky" in result.stderr
    assert "ValueError: of a thread" in result.stderr


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing_starts_and_ends_processes(run, method):
    result = run(
        f"""
        import multiprocessing, os

        def work(number, pipe):
            pipe.send((number * 2, os.getpid()))
            pipe.close()

        if __name__ == "__main__":
            context = multiprocessing.get_context("{method}")
            mine, theirs = context.Pipe()
            process = context.Process(target=work, args=(21, theirs))
            process.start()
            number, pid = mine.recv()
            process.join(30)
            assert (number, pid, process.exitcode) == (42, process.pid, 0)
        """,
        errors=False,
    )
    assert result.returncode == 0, result.stderr


# What is said.


def test_a_module_that_took_originals_is_warned_of_by_name(run, directory):
    (directory / "early.py").write_text(
        "from socket import socket\nfrom threading import Lock as Guard\nimport threading\n"
        "class Special(threading.Event):\n    pass\n",
        encoding="utf-8",
    )
    result = run(
        """
        import early
        from greenscope.runtime import monkey
        monkey.patch_all()
        """,
        patch=False,
        errors=False,
    )
    assert result.returncode == 0, result.stderr
    warning = next(line for line in result.stderr.splitlines() if "took" in line)
    assert "program.py:4: MonkeyPatchWarning: module 'early' took " in warning
    assert "threading.Lock (as Guard)" in warning
    assert "socket.socket" in warning
    assert "call patch_all() before that module is imported" in warning


def test_a_class_derived_from_an_original_is_warned_of(run, directory):
    (directory / "early.py").write_text("import socket\nclass Special(socket.socket):\n    pass\n", encoding="utf-8")
    result = run("import early\nfrom greenscope.runtime import monkey\nmonkey.patch_all()", patch=False, errors=False)
    assert "module 'early' derived Special from socket.socket before it was patched" in result.stderr


def test_the_copies_that_the_standard_library_took_are_replaced(run):
    result = run(
        """
        import ssl, reprlib, tempfile
        from greenscope.runtime import monkey
        monkey.patch_all()
        import socket, threading
        assert ssl.create_connection is socket.create_connection
        assert reprlib.get_ident is threading.get_ident
        """,
        patch=False,
    )
    answer(result)


def test_patching_twice_adds_and_says_so(run):
    result = run(
        """
        import warnings
        from greenscope.runtime import monkey
        monkey.patch_all(socket=False)
        import socket
        assert not monkey.is_object_patched("socket", "socket")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            monkey.patch_all()
            monkey.patch_all()
        assert [(one.category, one.filename) for one in caught] == [(monkey.MonkeyPatchWarning, __file__)]
        assert monkey.is_object_patched("socket", "socket")
        """,
        patch=False,
    )
    answer(result)


def test_patching_in_a_thread_that_is_not_the_main_one_is_warned_of(run):
    result = run(
        """
        import threading
        from greenscope.runtime import monkey
        thread = threading.Thread(target=monkey.patch_all)
        thread.start()
        thread.join()
        """,
        patch=False,
        errors=False,
    )
    assert "in a thread that is not the main one" in result.stderr


def test_parts_can_be_patched_alone(run):
    result = run(
        """
        from greenscope.runtime import monkey
        monkey.patch_time()
        assert monkey.is_module_patched("time") and not monkey.is_module_patched("socket")
        monkey.patch_socket(dns=False)
        assert monkey.is_object_patched("socket", "socket")
        assert not monkey.is_object_patched("socket", "getaddrinfo")
        monkey.patch_dns()
        assert monkey.is_object_patched("socket", "getaddrinfo")
        for part in "os select selectors ssl queue subprocess signal builtins contextvars thread".split():
            getattr(monkey, f"patch_{part}")()
        assert monkey.is_module_patched("threading")
        """,
        patch=False,
    )
    answer(result)


# What is seen.


def test_every_wait_is_in_the_trace_at_the_line_of_the_program(run):
    result = run(
        """
        import concurrent.futures, os, queue, socket, sys, threading, time
        from greenscope import runtime
        from greenscope.trace.events import Kind, Wait
        from greenscope.trace.reader import RingReader

        one, other = socket.socketpair()
        items, event, lock = queue.Queue(), threading.Event(), threading.Lock()
        pool = concurrent.futures.ThreadPoolExecutor(1)

        def helper():
            time.sleep(0.01)  # sleep
            other.send(b"x")
            items.put(1)
            event.set()
            if lock.locked():
                lock.release()

        lock.acquire()
        thread = threading.Thread(target=helper)
        timer = threading.Timer(0.05, int)
        thread.start()  # start
        one.recv(1)  # recv
        items.get()  # get
        event.wait()
        lock.acquire()
        thread.join()
        timer.start()
        timer.join()  # join
        pool.submit(helper).result()  # result
        pool.shutdown()

        one.close(); other.close()
        with open(__file__) as file:
            lines = file.read().splitlines()
        reader = RingReader(runtime.get_hub().recorder.path)
        parks = [event for event in reader.read() if getattr(event, "kind", None) == Kind.GREENLET_PARK]
        seen = set()
        for park in parks:
            site = reader.site(park.site)
            if site is None:
                print("no site", Wait(park.reason).name)
            elif site.file == __file__ and "#" in lines[site.line - 1]:
                seen.add((lines[site.line - 1].partition("# ")[2], Wait(park.reason).name))
            elif site.file != __file__:
                seen.add((os.path.basename(site.file), Wait(park.reason).name))
        print(*(" ".join(one) for one in sorted(seen)), sep="\\n")
        """
    )
    seen = answer(result).splitlines()
    join = "join JOIN" if sys.version_info >= (3, 13) else "join LOCK"
    expected = {"sleep TIMER", "start EVENT", "recv READ", join, "result LOCK"}
    assert expected <= set(seen), seen
    elsewhere = [line for line in seen if ".py" in line]
    assert set(elsewhere) == {"threading.py EVENT", "thread.py QUEUE"}, seen  # the timer's and the pool's own waits
    assert not [line for line in seen if line.startswith("no site")], seen


def test_a_thread_is_recorded_by_its_name(run):
    result = run(
        """
        import threading, time
        from greenscope import runtime
        from greenscope.trace.reader import RingReader
        threading.Thread(target=time.sleep, args=(60,), name="the sleeper", daemon=True).start()
        print([slot.name for slot in RingReader(runtime.get_hub().recorder.path).greenlets()])
        """
    )
    assert answer(result) == "['hub', 'main', 'the sleeper']\n"
