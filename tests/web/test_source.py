"""What a viewer holds on to that is left on for weeks, and what it lets go of."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from greenscope.trace.events import Watch
from greenscope.trace.ring_file import RingFile
from greenscope.web.session import Session
from greenscope.web.source import Source
from tests.trace.rings import begin, new_ring


def recording(path: Path) -> None:
    """A ring whose writer has ended."""
    end(*new_ring("c", path))


def end(ring: object, file: RingFile) -> None:
    ring.detach()  # type: ignore[attr-defined]
    file.close()
    file.release()


def descriptors(path: Path) -> int:
    """How often this process has files below a path open."""
    found = 0
    for number in Path("/proc/self/fd").iterdir():
        try:
            found += str(number.readlink()).startswith(str(path))
        except FileNotFoundError:  # the listing's own
            continue
    return found


def follow(source: Source, *identities: str) -> list[Session]:
    """Look at rings, as pages do, and read them to their ends."""
    sessions = []
    for identity in identities:
        session = source.session(identity)
        assert session is not None
        while source.follow(session):
            pass
        sessions.append(session)
    return sessions


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors as Linux lists them")
def test_recordings_that_nobody_looks_at_are_listed_and_not_open(tmp_path: Path) -> None:
    for number in range(50):
        recording(tmp_path / f"{number}.gsr")
    source = Source([tmp_path])
    source.scan()
    assert len(source.rings()) == 50
    assert descriptors(tmp_path) == 0
    follow(source, *(str(number) for number in range(20)))
    source.scan()
    assert 0 < descriptors(tmp_path) < 20
    (session,) = follow(source, "0")
    assert session.state == "ended"
    source.close()
    assert descriptors(tmp_path) == 0


def test_a_ring_whose_file_is_gone_stays_for_the_page_that_shows_it_and_no_longer(tmp_path: Path) -> None:
    recording(tmp_path / "a.gsr")
    source = Source([tmp_path])
    source.scan()
    (session,) = follow(source, "a")
    session.pages += 1
    (tmp_path / "a.gsr").unlink()
    source.scan()
    assert source.session("a") is session
    session.pages -= 1
    source.scan()
    assert source.session("a") is None
    assert source.rings() == []


def test_another_recording_under_the_same_name_is_another_ring(tmp_path: Path) -> None:
    recording(tmp_path / "a.gsr")
    source = Source([tmp_path / "a.gsr"])
    source.scan()
    ring, file = new_ring("c", tmp_path / "new.gsr")
    begin(ring)
    end(ring, file)
    shutil.move(tmp_path / "new.gsr", tmp_path / "a.gsr")
    source.scan()
    identities = [listed.id for listed in source.rings()]
    assert len(identities) == 1
    (session,) = follow(source, *identities)
    assert session.timeline.events == 5
    source.close()


def test_who_died_last_is_kept_longest(tmp_path: Path) -> None:
    ring, file = new_ring("c", tmp_path / "service.gsr")
    begin(ring)
    source = Source([tmp_path])
    source.scan()
    (service,) = follow(source, "service")
    for number in range(20):
        recording(tmp_path / f"{number}.gsr")
    source.scan()
    follow(source, *(str(number) for number in range(20)))
    end(ring, file)
    service._checked = 0  # its liveness is looked at five times a second
    source.follow(service)
    assert service.state == "ended"
    source.scan()
    assert source.session("service") is service
    source.close()


def test_a_ring_that_cannot_be_read_further_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring, _ = new_ring("c", tmp_path / "a.gsr")
    ring.watcher_start(Watch.READ, 1, 2)
    source = Source([tmp_path])
    source.scan()
    session = source.session("a")
    assert session is not None
    monkeypatch.setattr(session.timeline, "apply", lambda *_: 1 / 0)
    assert source.follow(session) == 0
    assert not session.unfinished
    source.close()


def test_a_ring_that_is_cut_short_while_it_is_shown_does_not_stop_the_others(tmp_path: Path) -> None:
    recording(tmp_path / "a.gsr")
    source = Source([tmp_path])
    source.scan()
    session = source.session("a")
    assert session is not None
    (tmp_path / "a.gsr").write_bytes(b"")
    assert not session.unfinished
    assert session.failed
    session.examine()
    source.close()


def test_a_directory_that_goes_away_is_no_error(tmp_path: Path) -> None:
    directory = tmp_path / "rings"
    directory.mkdir()
    recording(directory / "a.gsr")
    source = Source([directory])
    source.scan()
    shutil.rmtree(directory)
    source.scan()
    assert source.rings() == []
