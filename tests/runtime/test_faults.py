"""What goes wrong goes wrong for one greenlet only: the rest lives, nothing hangs, no watcher is left.

A greenlet is ended, by ``kill`` and by a timeout, in every kind of wait, and an exception is raised in
every kind of callback. Before and after, the loop's handles, what it waits for and the process's
descriptors are counted.
"""

from __future__ import annotations

import errno
import gc
import os
import signal
import struct
import sys
import threading
from pathlib import Path

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import queue, select, selectors, socket, ssl
from greenscope.runtime.condition import Condition
from greenscope.runtime.event import AsyncResult, Event
from greenscope.runtime.lock import BoundedSemaphore, RLock, Semaphore
from greenscope.runtime.os import fork_and_watch, waitpid
from greenscope.runtime.pool import Group, Pool
from greenscope.runtime.server import StreamServer
from greenscope.runtime.subprocess import PIPE, Popen
from greenscope.runtime.threadpool import ThreadPool
from greenscope.runtime.waiting import iwait


def open_descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def settle() -> None:
    for _ in range(5):
        runtime.sleep(0)


@pytest.fixture(autouse=True)
def nothing_left(hub):
    """As many handles, descriptors and waits after the test as before it."""
    runtime.sleep(0.001)
    gc.collect()
    before = hub.loop.census(), hub.loop.active, open_descriptors()
    yield
    settle()
    gc.collect()
    settle()
    assert (hub.loop.census(), hub.loop.active, open_descriptors()) == before


# What a greenlet can wait in. Each makes what it needs, yields the wait, and ends what it made.


def reading():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with socket.create_connection(listener.getsockname()) as client, listener.accept()[0] as server:
            yield lambda: client.recv(1)
            server.sendall(b"x")
            assert client.recv(1) == b"x"


def receiving_into_a_buffer():
    one, other = socket.socketpair()
    with one, other:
        yield lambda: one.recv_into(bytearray(1))


def receiving_a_datagram():
    with socket.socket(type=socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        yield lambda: receiver.recvfrom(1)


def writing():
    one, other = socket.socketpair()
    with one, other:
        yield lambda: one.sendall(b"x" * 10_000_000)
        assert other.recv(1) == b"x"


def accepting():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.accept
        with socket.create_connection(listener.getsockname()):
            listener.accept()[0].close()


def connecting():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    full, last = [], socket.socket()
    while True:  # until the kernel queues no more, and leaves the next one waiting
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(listener.getsockname())
        full.append(client)
        client.settimeout(0.05)
        try:
            client._wait(client._writer())
        except TimeoutError:
            break
    yield lambda: last.connect(listener.getsockname())
    for one in (*full, last, listener):
        one.close()


def shaking_hands():
    one, other = socket.socketpair()
    with other:
        context = ssl.create_default_context()
        yield lambda: context.wrap_socket(one, server_hostname="localhost")
        assert one.fileno() == -1


def looking_a_name_up(monkeypatch):
    from greenscope.runtime import resolve

    done = threading.Event()
    monkeypatch.setattr(resolve, "_getaddrinfo", lambda *_: done.wait() and [])
    yield lambda: socket.getaddrinfo("a.name.that.does.not.exist", 80)
    done.set()


def sleeping():
    yield lambda: runtime.sleep(60)


def acquiring_a_semaphore():
    semaphore = Semaphore(0)
    yield semaphore.acquire
    semaphore.release()
    assert semaphore.acquire(timeout=5)


def acquiring_a_bounded_semaphore():
    semaphore = BoundedSemaphore(1)
    with semaphore:
        yield semaphore.acquire
    assert semaphore.acquire(timeout=5)


def acquiring_a_lock_that_is_held():
    lock, done = RLock(), Event()

    def hold():
        with lock:
            done.wait()

    holder = runtime.spawn(hold)
    settle()
    yield lock.acquire
    done.set()
    holder.join()
    assert lock.acquire(timeout=5)


def waiting_for_a_condition():
    condition = Condition()

    def wait():
        with condition:
            condition.wait()

    yield wait
    with condition:
        condition.notify_all()


def getting_from_a_queue():
    one = queue.Queue()
    yield one.get
    one.put("x")
    assert one.get(timeout=5) == "x"


def putting_into_a_full_queue():
    one = queue.Queue(1)
    one.put("first")
    yield lambda: one.put("second")
    assert (one.get(), one.qsize()) == ("first", 0)


def joining_a_queue():
    one = queue.JoinableQueue()
    one.put("x")
    yield one.join
    one.get()
    one.task_done()
    one.join()


def waiting_for_an_event():
    event = Event()
    yield event.wait
    event.set()


def getting_a_result():
    result = AsyncResult()
    yield result.get
    result.set("x")


def joining_a_greenlet():
    done = Event()
    other = runtime.spawn(done.wait)
    yield other.join
    done.set()
    other.join()


def joining_several():
    done = Event()
    others = [runtime.spawn(done.wait) for _ in range(3)]
    yield lambda: runtime.joinall(others)
    done.set()
    runtime.joinall(others)


def waiting_for_any_of_several():
    events = [Event(), Event()]
    yield lambda: list(iwait(events))


def joining_a_group():
    done, group = Event(), Group()
    group.spawn(done.wait)
    yield group.join
    done.set()
    group.join()


def spawning_in_a_full_pool():
    done, pool = Event(), Pool(1)
    pool.spawn(done.wait)
    yield lambda: pool.spawn(done.wait)
    done.set()
    pool.join()
    assert pool.free_count() == 1


def calling_in_a_thread():
    done, pool = threading.Event(), ThreadPool(1)
    yield lambda: pool.spawn(done.wait).get()
    done.set()
    pool.kill()


def selecting():
    one, other = socket.socketpair()
    with one, other:
        yield lambda: select.select([one], [], [])
        other.sendall(b"x")
        assert select.select([one], [], []) == ([one], [], [])


def polling():
    one, other = socket.socketpair()
    with one, other:
        poll = select.poll()
        poll.register(one, select.POLLIN)
        yield poll.poll
        other.sendall(b"x")
        assert poll.poll() == [(one.fileno(), select.POLLIN)]


def asking_a_selector():
    one, other = socket.socketpair()
    with one, other, selectors.DefaultSelector() as selector:
        selector.register(one, selectors.EVENT_READ)
        yield selector.select
        other.sendall(b"x")
        assert [key.fileobj for key, _ in selector.select()] == [one]


def waiting_for_a_process():
    with Popen([sys.executable, "-c", "input()"], stdin=PIPE) as process:
        yield process.wait
        process.communicate(b"\n")
        assert process.returncode == 0


def reading_from_a_process():
    with Popen([sys.executable, "-c", "input()"], stdin=PIPE, stdout=PIPE) as process:
        yield lambda: process.stdout.read(1)
        process.stdin.close()


def waiting_for_a_child():
    mine, theirs = os.pipe()
    pid = fork_and_watch()
    if pid == 0:
        os.close(theirs)
        os.read(mine, 1)
        os._exit(7)
    os.close(mine)
    yield lambda: waitpid(pid, 0)
    os.close(theirs)
    assert os.waitstatus_to_exitcode(waitpid(pid, 0)[1]) == 7


def waiting_on_a_watcher_of(make):
    def wait():
        watcher = make(runtime.get_hub().loop)
        yield lambda: runtime.get_hub().wait(watcher)
        watcher.close()

    return wait


def serving():
    server = StreamServer(("127.0.0.1", 0), lambda *_: None)
    yield server.serve_forever
    assert server.closed


WAITS = {
    make.__name__: make
    for make in (
        reading,
        receiving_into_a_buffer,
        receiving_a_datagram,
        writing,
        accepting,
        connecting,
        shaking_hands,
        looking_a_name_up,
        sleeping,
        acquiring_a_semaphore,
        acquiring_a_bounded_semaphore,
        acquiring_a_lock_that_is_held,
        waiting_for_a_condition,
        getting_from_a_queue,
        putting_into_a_full_queue,
        joining_a_queue,
        waiting_for_an_event,
        getting_a_result,
        joining_a_greenlet,
        joining_several,
        waiting_for_any_of_several,
        joining_a_group,
        spawning_in_a_full_pool,
        calling_in_a_thread,
        selecting,
        polling,
        asking_a_selector,
        waiting_for_a_process,
        reading_from_a_process,
        waiting_for_a_child,
        serving,
    )
}
for _name, _make in {
    "timer": lambda loop: loop.timer(60),
    "async": lambda loop: loop.async_(),
    "signal": lambda loop: loop.signal(signal.SIGUSR1),
}.items():
    WAITS[f"waiting_on_a_watcher_of_{_name}"] = waiting_on_a_watcher_of(_make)


@pytest.fixture(params=WAITS)
def wait(request, monkeypatch, nothing_left):
    make = WAITS[request.param]
    needs = [monkeypatch] if make is looking_a_name_up else []
    steps = make(*needs)
    yield next(steps)
    with runtime.Timeout(10, RuntimeError("what was waited for does not work any more")):
        assert next(steps, "the end") == "the end"


def test_a_greenlet_is_killed_in_every_kind_of_wait(wait, capsys):
    waiting = runtime.spawn(wait)
    settle()
    assert not waiting.ready()
    waiting.kill(timeout=5)
    assert waiting.ready() and isinstance(waiting.value, runtime.GreenletExit)
    assert capsys.readouterr().err == ""


def test_a_timeout_ends_every_kind_of_wait(wait):
    with pytest.raises(runtime.Timeout) as caught:
        with runtime.Timeout(0.01) as timeout:
            wait()
    assert caught.value is timeout


def test_an_exception_of_its_own_reaches_a_greenlet_in_every_kind_of_wait(wait, capsys):
    waiting = runtime.spawn(wait)
    settle()
    error = LookupError("told to")
    waiting.kill(error, timeout=5)
    assert waiting.exception is error
    assert "LookupError: told to" in capsys.readouterr().err


# Callbacks. Each has one called that fails, and ends what it made.


def fail(*_):
    raise LookupError("in a callback")


def of_a_descriptor(hub):
    one, other = socket.socketpair()
    with one, other:
        watcher = hub.loop.io(one.fileno(), 2)
        watcher.start(lambda: (watcher.stop(), fail()))
        yield
        watcher.close()


def of_a_timer(hub):
    watcher = hub.loop.timer(0.001)
    watcher.start(fail)
    yield
    watcher.close()


def of_a_call_from_elsewhere(hub):
    watcher = hub.loop.async_()
    watcher.start(fail)
    thread = threading.Thread(target=watcher.send)
    thread.start()
    yield
    thread.join()
    watcher.close()


def of_a_signal(hub):
    watcher = hub.loop.signal(signal.SIGUSR1)
    watcher.start(fail)
    os.kill(os.getpid(), signal.SIGUSR1)
    yield
    watcher.close()


def of_a_child(hub):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    watcher = hub.loop.child(pid)
    watcher.start(fail)
    yield
    watcher.close()


def of_each_turn_after_the_poll(hub):
    watcher = hub.loop.check()
    watcher.start(lambda: (watcher.stop(), fail()))
    yield
    watcher.close()


def of_each_turn_before_the_poll(hub):
    watcher = hub.loop.prepare()
    watcher.start(lambda: (watcher.stop(), fail()))
    yield
    watcher.close()


def of_idleness(hub):
    watcher = hub.loop.idle()
    watcher.start(lambda: (watcher.stop(), fail()))
    yield
    watcher.close()


def of_run_callback(hub):
    hub.loop.run_callback(fail)
    yield


def of_run_callback_in_another_thread(hub):
    thread = threading.Thread(target=hub.loop.run_callback_threadsafe, args=[fail])
    thread.start()
    yield
    thread.join()


def of_a_link(hub):
    runtime.spawn(lambda: None).link(fail)
    yield


def of_a_rawlink(hub):
    runtime.spawn(lambda: None).rawlink(fail)
    yield


def of_an_event(hub):
    event = Event()
    event.rawlink(fail)
    event.set()
    yield


def of_a_result(hub):
    result = AsyncResult()
    result.rawlink(fail)
    result.set(None)
    yield


def of_a_semaphore(hub):
    semaphore = Semaphore(0)
    semaphore.rawlink(fail)
    semaphore.release()
    yield


def of_a_greenlet_in_a_pool(hub):
    pool = Pool(1)
    pool.spawn(fail)
    yield
    pool.join()
    assert pool.free_count() == 1


def of_a_server(hub):
    with StreamServer(("127.0.0.1", 0), fail) as server:
        server.start()
        with socket.create_connection(server.address) as client:
            assert client.recv(1) == b""
        yield


CALLBACKS = {
    make.__name__: make
    for make in (
        of_a_descriptor,
        of_a_timer,
        of_a_call_from_elsewhere,
        of_a_signal,
        of_a_child,
        of_each_turn_after_the_poll,
        of_each_turn_before_the_poll,
        of_idleness,
        of_run_callback,
        of_run_callback_in_another_thread,
        of_a_link,
        of_a_rawlink,
        of_an_event,
        of_a_result,
        of_a_semaphore,
        of_a_greenlet_in_a_pool,
        of_a_server,
    )
}


@pytest.mark.parametrize("name", CALLBACKS)
def test_an_exception_in_a_callback_is_printed_and_the_rest_goes_on(name, hub, nothing_left, capsys):
    steps = CALLBACKS[name](hub)
    ticks = []

    def tick():
        while True:
            ticks.append(None)
            runtime.sleep(0.001)

    ticker = runtime.spawn(tick)
    next(steps)
    said = ""
    with runtime.Timeout(10, RuntimeError("it was not printed")):
        while "LookupError: in a callback" not in said:
            runtime.sleep(0.001)
            said += capsys.readouterr().err
    ticks.clear()
    with runtime.Timeout(10, RuntimeError("the others did not go on")):
        while len(ticks) < 3:
            runtime.sleep(0.001)
    ticker.kill()
    assert next(steps, "the end") == "the end"


# Descriptors, and peers.


def test_a_descriptor_that_is_used_again_wakes_only_whoever_waits_for_the_new_one():
    one, other = socket.socketpair()
    fd = one.fileno()
    old = runtime.spawn(one.recv, 1)
    settle()
    one.close()
    again, another = socket.socketpair()
    assert fd in {again.fileno(), another.fileno()}
    new = runtime.spawn(again.recv, 1)
    settle()
    assert old.exception.errno == errno.EBADF
    another.sendall(b"x")
    assert new.get(timeout=5) == b"x"
    for each in (other, again, another):
        each.close()


def test_a_thousand_descriptors_used_again_and_again_leave_nothing():
    for _ in range(1000):
        one, other = socket.socketpair()
        reader = runtime.spawn(one.recv, 1)
        runtime.sleep(0)
        other.sendall(b"x")
        assert reader.get(timeout=5) == b"x"
        one.close()
        other.close()


def reset(client) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@pytest.mark.parametrize("wait", ["recv", "sendall"])
def test_a_peer_that_resets_ends_the_wait_with_an_error(wait):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        what = 1 if wait == "recv" else b"x" * 50_000_000
        waiting = runtime.spawn(getattr(server, wait), what)
        settle()
        assert not waiting.ready()
        reset(client)
        waiting.join(timeout=5)
        assert isinstance(waiting.exception, ConnectionResetError | BrokenPipeError)
        server.close()


def test_peers_that_reset_in_the_backlog_and_while_they_are_served_do_not_trouble_the_others(capsys):
    def echo(connection, address):
        while data := connection.recv(100):
            connection.sendall(data)

    with StreamServer(("127.0.0.1", 0), echo) as server:
        server.start()
        server.stop_accepting()
        for _ in range(20):
            reset(socket.create_connection(server.address))
        server.start_accepting()
        for _ in range(20):
            client = socket.create_connection(server.address)
            client.sendall(b"x")
            assert client.recv(1) == b"x"
            client.sendall(b"y" * 1000)
            reset(client)
        with socket.create_connection(server.address) as client:
            client.sendall(b"z")
            assert client.recv(1) == b"z"
    settle()
    assert "cannot accept" not in capsys.readouterr().err
