"""The source that a replay shows: what ran, as Python reads it, and nothing that a recording talks the viewer into."""

from __future__ import annotations

import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from greenscope.trace.analysis.narrate import LANGUAGES
from greenscope.web.replay_source import source_of

SOON = 1 << 62
MIB = 1 << 20


HERE = socket.gethostname()


def shown(file: Path | str, began: int = SOON, room: int = MIB, host: str = HERE) -> tuple[str | None, str | None]:
    return source_of(str(file), began, host, room, "en")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"print('ok')\n", "print('ok')\n"),
        ("s = '\N{SNOWMAN}'\n".encode(), "s = '\N{SNOWMAN}'\n"),
        ("# coding: gbk\ns = '\u4f60\u597d'\n".encode("gbk"), "# coding: gbk\ns = '\u4f60\u597d'\n"),
        (b"# -*- coding: latin-1 -*-\ns = '\xe9'\n", "# -*- coding: latin-1 -*-\ns = '\xe9'\n"),
        (b"\xef\xbb\xbfone = 1\r\ntwo = 2\rthree = 3\n", "one = 1\ntwo = 2\nthree = 3\n"),
        (b"", ""),
        (b"#" * MIB, "#" * MIB),
    ],
    ids=["ascii", "utf-8", "coding gbk", "coding latin-1", "mark and line ends", "empty", "1 MiB"],
)
def test_a_file_is_shown_as_python_reads_it(tmp_path: Path, data: bytes, text: str):
    (tmp_path / "app.py").write_bytes(data)
    assert shown(tmp_path / "app.py") == (text, None)


def directory(path: Path) -> None:
    path.mkdir()


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def terminal(path: Path) -> None:
    path.symlink_to("/dev/tty")


def circle(path: Path) -> None:
    path.symlink_to(path)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def writes(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data) and None


NOT_SHOWN: dict[str, tuple[Callable[[Path], object], str]] = {
    "gone": (lambda path: None, "file.gone"),
    "a directory": (directory, "file.irregular"),
    "a FIFO": (os.mkfifo, "file.irregular"),
    "a socket": (listening, "file.irregular"),
    "an endless device": (endless, "file.irregular"),
    "a terminal": (terminal, "file.irregular"),
    "a link to itself": (circle, "file.unreadable"),
    "a tebibyte": (sparse, "file.large"),
    "larger than 1 MiB": (writes(b"#" * (MIB + 1)), "file.large"),
    "not UTF-8": (writes(b"s = '\xff'\n"), "file.coding"),
    "of no coding": (writes(b"# coding: rot-999\n"), "file.coding"),
    "of a coding that gives no text": (writes(b"# coding: hex\n"), "file.coding"),
}


@pytest.mark.parametrize("what", NOT_SHOWN)
def test_what_is_no_source_is_not_read_and_why_is_said_in_every_language(tmp_path: Path, what: str):
    make, key = NOT_SHOWN[what]
    path = tmp_path / "app.py"
    make(path)
    began = time.monotonic()
    for language, table in LANGUAGES.items():
        assert source_of(str(path), SOON, HERE, MIB, language) == (None, table[key])
    assert time.monotonic() - began < 10  # a FIFO would be waited for without end


NO_SOURCE = {
    "/etc/passwd": "file.other",
    "/proc/self/environ": "file.other",
    "": "file.other",
    "<string>": "file.other",
    "app.py": "file.relative",
    "../app.py": "file.relative",
    "/a\0b.py": "file.unreadable",
    f"/{'a' * 5000}.py": "file.unreadable",
    "/etc/passwd/app.py": "file.unreadable",
    "/\udcff.py": "file.gone",
}


@pytest.mark.parametrize("file", NO_SOURCE)
def test_a_name_that_is_not_that_of_a_source_is_not_opened(file: str):
    assert shown(file) == (None, LANGUAGES["en"][NO_SOURCE[file]])


def test_every_reason_is_tested_here():
    tested = {key for _, key in NOT_SHOWN.values()} | {
        *NO_SOURCE.values(),
        "file.changed",
        "file.elsewhere",
        "file.room",
    }
    assert tested == {key for key in LANGUAGES["en"] if key.startswith("file.")}


def test_a_file_that_was_changed_since_the_recording_began_is_not_shown(tmp_path: Path):
    path = tmp_path / "app.py"
    path.write_text("x = 1\n")
    written = path.stat().st_ctime_ns
    assert shown(path, written - 1) == (None, "changed since the recording")
    assert shown(path, written) == ("x = 1\n", None)


def test_an_older_file_that_was_put_in_its_place_is_not_shown(tmp_path: Path):
    path = tmp_path / "app.py"
    path.write_text("x = 1\n")
    os.utime(path, (0, 0))
    began = path.stat().st_ctime_ns - 1
    assert shown(path, began) == (None, "changed since the recording")


def test_what_lies_here_is_not_shown_of_a_recording_of_another_machine(tmp_path: Path):
    path = tmp_path / "app.py"
    path.write_text("x = 1\n")
    assert shown(path, host=f"{HERE}-2") == (None, "recorded on another machine")
    assert shown(path, host=HERE[:3]) == ("x = 1\n", None), "a long name is cut in the ring"


def test_of_many_files_so_many_characters_are_shown(tmp_path: Path):
    path = tmp_path / "app.py"
    path.write_text("x = 1\n")
    assert shown(path, room=5) == (None, LANGUAGES["en"]["file.room"])
    assert shown(path, room=6) == ("x = 1\n", None)


@pytest.fixture
def nobody() -> Iterator[None]:
    """Root may read all: for a while this process is somebody who may not."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)


@pytest.fixture
def forbidden() -> Iterator[Path]:
    """A file that its directory shows to everybody, and that nobody may read."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        (directory / "app.py").write_text("x = 1\n")
        (directory / "app.py").chmod(0)
        yield directory / "app.py"


def test_a_file_that_may_not_be_read_is_not_shown(forbidden: Path, nobody: None):
    assert forbidden.stat().st_size == 6
    assert shown(forbidden) == (None, LANGUAGES["en"]["file.unreadable"])
