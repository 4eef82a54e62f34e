"""Files over descriptors: pipes and terminals that yield, files in threads, and who closes what."""

from __future__ import annotations

import errno
import io
import os
import threading

import pytest

import greenscope.runtime as runtime
from greenscope.runtime.fileobject import FileObject, FileObjectBlock, FileObjectPosix, FileObjectThread
from greenscope.runtime.threadpool import ThreadPool
from tests.runtime.conftest import settle

KINDS = [FileObjectPosix, FileObjectThread, FileObjectBlock]


@pytest.fixture(autouse=True)
def bounded(hub):
    with runtime.Timeout(20):
        yield
    assert not hub.loop._descriptors


@pytest.fixture
def pipe():
    """Two descriptors, closed by who gets them."""
    return os.pipe()


def is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["r", "rb"])
def test_a_file_that_only_its_method_holds_stays_open(kind, mode, tmp_path):
    path = tmp_path / "file"
    path.write_text("one\ntwo\n")
    assert len(kind(path, mode).read()) == 8
    readline = kind(path, mode).readline
    assert len(readline()) == 4
    assert list(kind(path, mode))[1] in ("two\n", b"two\n")


def test_a_file_that_only_a_waiting_greenlet_uses_stays_open_and_is_closed_after_it(pipe):
    read, write = pipe
    reader = runtime.spawn(lambda: FileObject(read, "rb").readline())
    runtime.sleep(0.001)
    os.write(write, b"one\n")
    os.close(write)
    assert reader.get() == b"one\n"
    assert not is_open(read)


@pytest.mark.parametrize("kind", KINDS)
def test_a_path_is_opened_as_open_does(kind, tmp_path):
    path = tmp_path / "file"
    with kind(path, "w", encoding="latin-1") as file:
        assert file.write("grün\n") == 5
        file.writelines(["zwei\n", "drei"])
        assert file.encoding == "latin-1"
    assert file.closed
    assert path.read_bytes() == b"gr\xfcn\nzwei\ndrei"
    with kind(str(path), "rb") as file:
        assert file.readline() == b"gr\xfcn\n"
        assert file.tell() == 5
        assert list(file) == [b"zwei\n", b"drei"]
        assert file.seek(0) == 0
        assert file.read(2) == b"gr"
        assert file.fileno() > 2
    with kind(path, "r", encoding="latin-1") as file:
        assert file.readlines() == ["grün\n", "zwei\n", "drei"]
    with kind(path, "ab") as file:
        file.write(b"!")
    with kind(path, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        assert file.read() == b"!"
        file.truncate(3)
    assert path.read_bytes() == b"gr\xfc"


@pytest.mark.parametrize("kind", KINDS)
def test_a_descriptor_is_closed_with_the_file_and_only_once(kind, pipe):
    readable, writable = pipe
    os.write(writable, b"x")
    os.close(writable)
    file = kind(readable, "rb")
    assert file.read() == b"x"
    file.close()
    assert not is_open(readable)
    other = os.open(os.devnull, os.O_RDONLY)  # gets the number
    assert other == readable
    file.close()
    del file
    assert is_open(other)
    os.close(other)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["close", "closefd"])
def test_a_descriptor_that_is_not_to_be_closed_stays(kind, name, pipe):
    readable, writable = pipe
    with kind(writable, "wb", **{name: False}) as file:
        file.write(b"written on the way out")
    assert file.closed
    with pytest.raises(ValueError):
        file.write(b"more")
    assert os.read(readable, 100) == b"written on the way out"
    os.close(readable)
    os.close(writable)


@pytest.mark.parametrize("kind", KINDS)
def test_an_open_file_is_taken_over_or_borrowed(kind, tmp_path):
    path = tmp_path / "file"
    plain = path.open("wb", 0)
    with kind(plain, "wb", closefd=False) as file:
        file.write(b"a")
    assert not plain.closed
    with kind(plain, "wb") as file:
        file.write(b"b")
    assert plain.closed
    assert path.read_bytes() == b"ab"


def test_reading_and_writing_a_pipe_lets_others_run(pipe):
    reader_file, writer_file = FileObject(pipe[0], "r"), FileObject(pipe[1], "w")
    reader = runtime.spawn(reader_file.readline)
    assert runtime.spawn(lambda: 7).get() == 7
    assert not reader.ready()
    writer_file.write("a line\n")
    writer_file.flush()
    assert reader.get() == "a line\n"
    everything = runtime.spawn(reader_file.read)
    writer_file.write("x" * 300_000)
    writer_file.close()
    assert everything.get() == "x" * 300_000
    reader_file.close()


def test_a_full_pipe_holds_up_the_writer_only(pipe):
    file = FileObject(pipe[1], "wb", bufsize=0)
    writer = runtime.spawn(file.write, b"x" * 200_000)
    settle()
    assert not writer.ready()
    got = 0
    with FileObject(pipe[0], "rb") as source:
        while got < 200_000:
            got += len(source.read1(65536))
    assert writer.get() == 200_000
    file.close()


def test_kill_and_timeout_in_a_read_lose_nothing(pipe):
    with FileObject(pipe[0], "rb") as source, FileObject(pipe[1], "wb", 0) as sink:
        reader = runtime.spawn(source.readline)
        settle()
        reader.kill()
        with runtime.Timeout(0.01, False):
            source.readline()
        sink.write(b"a line\n")
        assert source.readline() == b"a line\n"


@pytest.mark.parametrize("buffering", [0, -1])
def test_closing_wakes_who_waits(pipe, buffering):
    file = FileObject(pipe[0], "rb", buffering=buffering)
    reader = runtime.spawn(file.read, 1)
    settle()
    file.close()
    with pytest.raises(OSError) as raised:
        reader.get()
    assert raised.value.errno == errno.EBADF
    assert not is_open(pipe[0])
    os.close(pipe[1])


def test_closing_wakes_a_writer_too(pipe):
    file = FileObject(pipe[1], "wb")
    writer = runtime.spawn(file.write, b"x" * 300_000)
    settle()
    file.close()
    with pytest.raises(OSError):
        writer.get()
    os.close(pipe[0])


def test_two_greenlets_read_one_file_in_turn(pipe):
    with FileObject(pipe[0], "rb") as file:
        readers = [runtime.spawn(file.readline) for _ in range(3)]
        settle()
        for line in (b"1\n", b"2\n", b"3\n"):
            os.write(pipe[1], line)
            settle()
        assert {reader.get() for reader in readers} == {b"1\n", b"2\n", b"3\n"}
    os.close(pipe[1])


def test_a_file_is_used_by_another_thread_and_by_a_child(pipe):
    with FileObject(pipe[0], "rb", 0) as file:
        reader = runtime.spawn(file.read, 1)
        settle()
        os.write(pipe[1], b"a")
        assert reader.get() == b"a"
        seen = []
        thread = threading.Thread(target=lambda: seen.append(file.read(1)))
        thread.start()
        os.write(pipe[1], b"b")
        thread.join(10)
        assert seen == [b"b"]
        child = os.fork()
        if child == 0:
            try:
                os._exit(0 if file.read(1) == b"c" else 1)
            finally:
                os._exit(2)
        os.write(pipe[1], b"c")
        assert os.waitpid(child, 0)[1] == 0
        reader = runtime.spawn(file.read, 1)
        settle()
        os.write(pipe[1], b"d")
        assert reader.get() == b"d"
    os.close(pipe[1])


def test_a_terminal_stays_as_it_is_and_yields():
    main, side = os.openpty()
    with FileObject(side, "r") as terminal:
        reader = runtime.spawn(terminal.readline)
        settle()
        assert not reader.ready()
        assert os.get_blocking(side)
        assert terminal.isatty()
        os.write(main, b"typed\n")
        assert reader.get() == "typed\n"
    with FileObject(main, "r+b") as both:
        assert both.fileno() == main
        assert both.read1(100) == b"typed\r\n"


def test_a_socket_descriptor_goes_both_ways(pair):
    one, other = pair
    with FileObject(one.fileno(), "r+b", closefd=False) as file:
        reader = runtime.spawn(file.read, 4)
        settle()
        file.write(b"ping")
        file.flush()
        assert other.recv(10) == b"ping"
        other.sendall(b"pong")
        assert reader.get() == b"pong"


def test_a_file_in_threads_lets_others_run(pipe):
    with FileObjectThread(pipe[0], "rb", 0) as file:
        reader = runtime.spawn(file.read, 10)
        assert runtime.spawn(lambda: 7).get() == 7
        assert not reader.ready()
        os.write(pipe[1], b"x")
        assert reader.get() == b"x"
    os.close(pipe[1])


def test_a_file_in_threads_may_have_a_pool_and_no_lock(tmp_path):
    pool = ThreadPool(2)
    with FileObjectThread(tmp_path / "file", "w+", threadpool=pool, lock=False) as file:
        workers = [runtime.spawn(file.write, "x") for _ in range(5)]
        runtime.joinall(workers, raise_error=True)
        file.seek(0)
        assert file.read() == "x" * 5
    pool.kill()


@pytest.mark.parametrize("kind", KINDS)
def test_bad_arguments_are_refused(kind, pipe):
    for arguments in (
        {"bufsize": 1, "buffering": 1},
        {"close": True, "closefd": True},
    ):
        with pytest.raises(TypeError):
            kind(pipe[0], "rb", **arguments)
    for mode, arguments in (
        ("rb", {"encoding": "utf-8"}),
        ("q", {}),
        ("r", {"buffering": 0}),
        ("w", {"atomic_write": True}),
        ("rU", {}),
    ):
        with pytest.raises(ValueError):
            kind(pipe[0], mode, **arguments)
    with pytest.raises(FileNotFoundError):
        kind("/nonexistent/file")
    with pytest.raises(OSError):
        kind(99_999, "rb")
    assert is_open(pipe[0])
    for fd in pipe:
        os.close(fd)


def test_what_a_file_may_be_used_for(pipe):
    with FileObject(pipe[0], "rb") as source, FileObject(pipe[1], "wb") as sink:
        assert (source.readable(), source.writable()) == (True, False)
        assert (sink.readable(), sink.writable()) == (False, True)
        assert not source.seekable()
        with pytest.raises(io.UnsupportedOperation):
            source.write(b"x")
        with pytest.raises(io.UnsupportedOperation):
            sink.read()
        with pytest.raises(AttributeError):
            source.nonsense  # noqa: B018


def test_a_file_that_is_dropped_is_written_and_closed(pipe):
    file = FileObject(pipe[1], "wb")
    file.write(b"buffered")
    del file
    assert not is_open(pipe[1])
    assert os.read(pipe[0], 100) == b"buffered"
    os.close(pipe[0])
