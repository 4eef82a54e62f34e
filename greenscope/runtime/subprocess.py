"""Processes whose pipes and whose end let other greenlets run while one waits: the standard library's ``subprocess``.

Owns ``Popen``, the standard library's with the waiting replaced, and the functions built on it. How a
process is started, with every argument there is, and the exceptions are the standard library's own.

What differs inside: the pipes are green files; ``wait`` waits for the end of this process and takes no
other's status; ``communicate`` has a greenlet for each pipe. Refuses to leave a process behind: whatever
interrupts ``run`` and its kind, a kill or a timeout, ends the process too.
"""

from __future__ import annotations

import io
import subprocess as stdlib
from collections.abc import Callable
from os import WNOHANG
from subprocess import (
    DEVNULL,
    PIPE,
    STDOUT,
    CalledProcessError,
    CompletedProcess,
    SubprocessError,
    TimeoutExpired,
    list2cmdline,
)
from typing import Any, Self

from greenscope.runtime.children import await_child
from greenscope.runtime.fileio import GreenFileIO
from greenscope.runtime.greenlet import Greenlet, joinall, killall
from greenscope.runtime.hub import get_hub
from greenscope.runtime.layers import layers
from greenscope.runtime.os import forget_child
from greenscope.runtime.timeout import Timeout

__implements__ = ["Popen"]  # the functions of the standard library call what has this name
__all__ = [
    "DEVNULL",
    "PIPE",
    "STDOUT",
    "CalledProcessError",
    "CompletedProcess",
    "Popen",
    "SubprocessError",
    "TimeoutExpired",
    "call",
    "check_call",
    "check_output",
    "getoutput",
    "getstatusoutput",
    "list2cmdline",
    "run",
]

_BLOCK = 65536


class Popen(stdlib.Popen[Any]):
    """A process; arguments, attributes and methods are the standard library's. ``wait`` of the runtime takes it too."""

    # Overridden are the places where the standard library's waits: its files, `_wait`, `_communicate`.
    # Of what it keeps to itself, these use:

    text_mode: Any
    _check_timeout: Any
    _communication_started: bool
    _fileobj2output: dict[Any, list[bytes]]
    _handle_exitstatus: Any
    _input: Any
    _input_offset: int
    _remaining_time: Any
    _save_input: Any
    _translate_newlines: Any
    _try_wait: Any
    _waitpid_lock: Any

    def __init__(self, args: Any, bufsize: int | None = -1, *more: Any, **keywords: Any) -> None:
        super().__init__(args, -1 if bufsize is None else bufsize, *more, **keywords)
        forget_child(self.pid)  # one that had this number before
        size = -1 if bufsize is None or bufsize == 1 else bufsize
        self.stdin, self.stdout, self.stderr = (_green(file, size) for file in (self.stdin, self.stdout, self.stderr))

        self._links: list[Callable[[Self], object]] = []
        self._watch: Greenlet | None = None

    def rawlink(self, callback: Callable[[Self], object]) -> None:
        """Have the hub call ``callback`` with this process, once, when it has ended; it must not wait."""
        self._links.append(callback)
        if self._watch is None:
            self._watch = Greenlet.spawn(self._tell)

    def unlink(self, callback: Callable[[Self], object]) -> None:
        """Undo ``rawlink``; does nothing if it was called, or never linked."""
        if callback in self._links:
            self._links.remove(callback)
            if not self._links and self._watch is not None:
                self._watch.kill(block=False)
                self._watch = None

    def _tell(self) -> None:
        self._wait(None)
        links, self._links, self._watch = self._links, [], None
        hub = get_hub()
        for callback in links:
            hub.call(callback, self)

    def _wait(self, timeout: float | None) -> int | None:
        if self.returncode is None and not self._ended():
            timer = Timeout(timeout)
            try:
                with timer:
                    while not self._ended():
                        await_child(self.pid, check=self._ended)
            except Timeout as error:
                if error is not timer:
                    raise
                if not self._ended():
                    raise TimeoutExpired(self.args, timeout or 0) from None
        return self.returncode

    def _ended(self) -> bool:
        """Whether the process has ended; takes its status if so."""
        if self.returncode is None and self._waitpid_lock.acquire(False):
            try:
                if self.returncode is None:
                    pid, status = self._try_wait(WNOHANG)
                    if pid == self.pid:
                        self._handle_exitstatus(status)
            finally:
                self._waitpid_lock.release()
        return self.returncode is not None

    def _communicate(
        self,
        input: Any,  # noqa: A002  (the standard library's name)
        endtime: float | None,
        orig_timeout: float | None,
    ) -> tuple[Any, Any]:
        if not self._communication_started:
            self._fileobj2output = {file: [] for file in (self.stdout, self.stderr) if file}
            if self.stdin:
                _ignoring_broken_pipe(self.stdin.flush)
                if not input:
                    _ignoring_broken_pipe(self.stdin.close)
        self._save_input(input)
        stdout, stderr = self._fileobj2output.get(self.stdout), self._fileobj2output.get(self.stderr)
        work = [Greenlet(_collect, file, got) for file, got in self._fileobj2output.items() if not file.closed]
        if self.stdin and self._input and not self.stdin.closed:
            work.append(Greenlet(self._feed))
        if not self._exchange(work, self._remaining_time(endtime)):
            self._check_timeout(endtime, orig_timeout, stdout, stderr, skip_check_and_raise=True)
        self.wait(timeout=self._remaining_time(endtime))
        return tuple(self._joined(file, got) for file, got in ((self.stdout, stdout), (self.stderr, stderr)))

    def _exchange(self, work: list[Greenlet], timeout: float | None) -> bool:
        """Let greenlets feed and drain the pipes; False if the time is over first. They may go on later."""
        if timeout is not None and timeout < 0:
            return False
        try:
            for one in work:
                one.start()
            joinall(work, timeout)
            done = all(one.ready() for one in work)
        finally:
            killall([one for one in work if not one.ready()], block=False)
        for one in work:
            if isinstance(one.value, BaseException):
                raise one.value
        return done

    def _feed(self) -> BaseException | None:
        """Write the input; what it failed with, if it did."""
        try:
            raw = _raw(self.stdin)
            with memoryview(self._input) as view, view.cast("B") as octets:
                while self._input_offset < len(octets):
                    end = self._input_offset + _BLOCK
                    self._input_offset += raw.write_some(octets[self._input_offset : end])
        except BrokenPipeError:  # it does not want the rest
            pass
        except Exception as error:
            return error
        if self.stdin:
            _ignoring_broken_pipe(self.stdin.close)
        return None

    def _joined(self, file: Any, got: list[bytes] | None) -> Any:
        if got is None:
            return None
        data = b"".join(got)
        return self._translate_newlines(data, file.encoding, file.errors) if self.text_mode else data


def _collect(file: Any, got: list[bytes]) -> BaseException | None:
    """Read a pipe to its end; what that failed with, if it did."""
    try:
        raw = _raw(file)
        while block := raw.read(_BLOCK):
            got.append(block)
        file.close()
    except Exception as error:
        return error
    return None


def _green(file: Any, size: int) -> Any:
    """A pipe's file, as the standard library made it, with a green file at its bottom."""
    text = file if isinstance(file, io.TextIOWrapper) else None
    if text is not None:
        settings = text.encoding, text.errors, None, text.line_buffering, text.write_through
        file = text.detach()
    if file is None or isinstance(file, GreenFileIO):
        return file
    plain: Any = file if isinstance(file, io.RawIOBase) else file.detach()
    raw = GreenFileIO(plain.fileno(), plain.mode, owner=plain, warns=True)
    layered = layers(raw, plain.mode, size)
    return layered if text is None else io.TextIOWrapper(layered, *settings)


def _raw(file: Any) -> GreenFileIO:
    """The green file at the bottom of a pipe's; or one over the descriptor, of a file that the program put there."""
    raw = getattr(file, "buffer", file)
    raw = getattr(raw, "raw", raw)
    return raw if isinstance(raw, GreenFileIO) else GreenFileIO(file.fileno(), "r+b", closefd=False)


def _ignoring_broken_pipe(function: Any) -> None:
    try:
        function()
    except BrokenPipeError:
        pass


def run(
    *popenargs: Any,
    input: Any = None,  # noqa: A002  (the standard library's name)
    capture_output: bool = False,
    timeout: float | None = None,
    check: bool = False,
    **kwargs: Any,
) -> CompletedProcess[Any]:
    """Run a command to its end.

    Args:
        popenargs, kwargs: as for ``Popen``.
        input: what it is given on its standard input; bytes, or text where the pipes are text.
        capture_output: whether to return what it writes.
        timeout: seconds; then the process is killed.
        check: whether an exit code other than 0 is an error.

    Raises:
        TimeoutExpired: the time was over.
        CalledProcessError: it failed, and ``check`` is true.
    """
    if input is not None:
        if kwargs.get("stdin") is not None:
            raise ValueError("stdin and input may not both be used: input is written to a pipe of its own")
        kwargs["stdin"] = PIPE
    if capture_output:
        if kwargs.get("stdout") is not None or kwargs.get("stderr") is not None:
            raise ValueError("stdout and stderr may not be used with capture_output, which makes pipes of them")
        kwargs["stdout"] = kwargs["stderr"] = PIPE
    with Popen(*popenargs, **kwargs) as process:
        try:
            stdout, stderr = process.communicate(input, timeout=timeout)
        except TimeoutExpired:
            process.kill()
            process.wait()
            raise
        except BaseException:  # a kill of this greenlet as well; the way out waits for the process
            process.kill()
            raise
        code = process.poll()
    assert code is not None
    if check and code:
        raise CalledProcessError(code, process.args, stdout, stderr)
    return CompletedProcess(process.args, code, stdout, stderr)


def call(*popenargs: Any, timeout: float | None = None, **kwargs: Any) -> int:
    """Run a command to its end; its exit code. Kills it after ``timeout`` seconds, and raises TimeoutExpired."""
    with Popen(*popenargs, **kwargs) as process:
        try:
            code = process.wait(timeout)
        except BaseException:
            process.kill()
            raise
    assert code is not None
    return code


def check_call(*popenargs: Any, **kwargs: Any) -> int:
    """``call``; an exit code other than 0 raises CalledProcessError."""
    code = call(*popenargs, **kwargs)
    if code:
        raise CalledProcessError(code, popenargs[0] if popenargs else kwargs["args"])
    return 0


def check_output(*popenargs: Any, timeout: float | None = None, **kwargs: Any) -> Any:
    """Run a command to its end; what it wrote. An exit code other than 0 raises CalledProcessError."""
    for name in ("stdout", "check"):
        if name in kwargs:
            raise ValueError(f"{name} argument not allowed, it will be overridden.")
    if "input" in kwargs and kwargs["input"] is None:  # nothing, and not what stdin is
        text = kwargs.get("text") or kwargs.get("universal_newlines") or kwargs.get("encoding") or kwargs.get("errors")
        kwargs["input"] = "" if text else b""
    return run(*popenargs, stdout=PIPE, timeout=timeout, check=True, **kwargs).stdout


def getstatusoutput(cmd: Any, *, encoding: str | None = None, errors: str | None = None) -> tuple[int, str]:
    """Run a shell's command; its exit code, and what it wrote to both outputs, without the last line end."""
    how: dict[str, Any] = {"shell": True, "text": True, "encoding": encoding, "errors": errors}
    done = run(cmd, stdout=PIPE, stderr=STDOUT, **how)
    return done.returncode, done.stdout.removesuffix("\n")


def getoutput(cmd: Any, *, encoding: str | None = None, errors: str | None = None) -> str:
    """``getstatusoutput`` without the exit code."""
    return getstatusoutput(cmd, encoding=encoding, errors=errors)[1]
