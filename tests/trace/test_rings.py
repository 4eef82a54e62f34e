"""Finding rings in a directory: whose they are, which live, and what is said where there are none."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from greenscope.errors import GreenscopeError
from greenscope.trace.ring_layout import HEADER, write_field
from greenscope.trace.rings import rings_in, rings_of
from greenscope.trace.snapshot import snapshot
from tests.trace.rings import begin, new_ring


def ring_at(path: Path, pid: int, hub: int = 1, state: str = "live", start_wall_ns: int = 1000):
    """A ring of a process that may be long gone."""
    ring, file = new_ring("c", path)
    begin(ring)
    for name, value in {"pid": pid, "hub": hub, "start_wall_ns": start_wall_ns}.items():
        offset, code = HEADER[name]
        size = 4 if code == "I" else 8
        file.memory[offset : offset + size] = value.to_bytes(size, "little")
    if state == "ended":
        file.close()
    if state != "live":
        file.release()
    return file


def test_every_ring_is_found_with_whose_it_is_and_whether_its_writer_lives(tmp_path: Path) -> None:
    keep = [
        ring_at(tmp_path / "a.gsr", 11, start_wall_ns=3000),
        ring_at(tmp_path / "b.gsr", 12, state="died", start_wall_ns=1000),
        ring_at(tmp_path / "c.gsr", 13, state="ended", start_wall_ns=2000),
    ]
    (tmp_path / "d.gsr").write_text("no ring")
    (tmp_path / "e.gsr").mkdir()
    found = rings_in(tmp_path)
    assert [(ring.path.name, ring.pid, ring.hub, ring.state) for ring in found] == [
        ("b.gsr", 12, 1, "died"),
        ("c.gsr", 13, 1, "ended"),
        ("a.gsr", 11, 1, "live"),
    ]
    assert "pytest" in found[0].command
    assert rings_in(tmp_path / "missing") == []
    del keep


def test_a_process_number_that_was_reused_means_the_living_process(tmp_path: Path) -> None:
    keep = [
        ring_at(tmp_path / "old.gsr", 7, state="died", start_wall_ns=1000),
        ring_at(tmp_path / "new-2.gsr", 7, hub=2, start_wall_ns=6000),
        ring_at(tmp_path / "new-1.gsr", 7, start_wall_ns=5000),
    ]
    assert [ring.path.stem for ring in rings_of(tmp_path, 7)] == ["new-1", "new-2"]
    for file in keep:
        file.release()
    assert [ring.path.stem for ring in rings_of(tmp_path, 7)] == ["new-1", "new-2"]


def test_who_has_none_is_told_who_has(tmp_path: Path) -> None:
    with pytest.raises(GreenscopeError, match=r"process 5 has no ring in .*; no process has one there"):
        rings_of(tmp_path, 5)
    keep = [ring_at(tmp_path / f"{pid}.gsr", pid, state="died", start_wall_ns=pid) for pid in range(20, 31)]
    with pytest.raises(GreenscopeError, match=r"what died there: 30 \(.*\), 29 \(.*\) and 3 more$"):
        rings_of(tmp_path, 5)
    keep.append(ring_at(tmp_path / "6.gsr", 6))
    with pytest.raises(GreenscopeError, match=r"what runs there: 6 \([^)]*\)$"):
        rings_of(tmp_path, 5)


def test_two_thousand_rings_are_listed(tmp_path: Path) -> None:
    ring_at(tmp_path / "0.gsr", os.getpid(), state="died")
    for number in range(1, 2000):
        shutil.copy(tmp_path / "0.gsr", tmp_path / f"{number}.gsr")
    assert len(rings_in(tmp_path)) == 2000


def craft(path: Path, **fields: int | bytes) -> None:
    """Change the header of a ring that nobody writes."""
    data = bytearray(path.read_bytes())
    for name, value in fields.items():
        write_field(memoryview(data), name, value)
    path.write_bytes(data)


@pytest.mark.parametrize("other", [{"boot_id": b"another boot ..."}, {"process_start": 7}])
def test_a_process_number_of_another_boot_or_start_is_another_process(
    tmp_path: Path, other: dict[str, int | bytes]
) -> None:
    """Though its hubs began at times that would fit."""
    for name, hub, start in (("old-2", 2, 3000), ("new-1", 1, 2000), ("new-2", 2, 4000)):
        ring_at(tmp_path / f"{name}.gsr", 7, hub=hub, state="died", start_wall_ns=start)
    craft(tmp_path / "old-2.gsr", **other)
    assert [ring.path.stem for ring in rings_of(tmp_path, 7)] == ["new-1", "new-2"]


def test_where_the_start_is_not_known_a_first_hub_begins_a_process(tmp_path: Path) -> None:
    for name, hub, start in (("old-1", 1, 1000), ("old-2", 2, 1500), ("new-1", 1, 2000), ("new-2", 2, 2500)):
        ring_at(tmp_path / f"{name}.gsr", 7, hub=hub, state="died", start_wall_ns=start)
        craft(tmp_path / f"{name}.gsr", process_start=0, version=1)
    assert [ring.path.stem for ring in rings_of(tmp_path, 7)] == ["new-1", "new-2"]


def test_a_snapshot_is_listed_and_is_no_ring_of_its_process(tmp_path: Path) -> None:
    file = ring_at(tmp_path / "7-1.gsr", 7)
    snapshot(tmp_path / "7-1.gsr", tmp_path / "copy.gsr")
    assert [(ring.path.stem, ring.state) for ring in rings_in(tmp_path)] == [("7-1", "live"), ("copy", "snapshot")]
    assert [ring.path.stem for ring in rings_of(tmp_path, 7)] == ["7-1"]
    file.release()


@pytest.mark.parametrize("field", ["head", "event_capacity", "event_offset", "start_wall_ns", "start_monotonic_ns"])
@pytest.mark.parametrize("value", [0, 1, 1 << 62, (1 << 64) - 1])
def test_a_damaged_header_is_listed_and_breaks_nothing(tmp_path: Path, field: str, value: int) -> None:
    ring_at(tmp_path / "a.gsr", 7, state="died")
    craft(tmp_path / "a.gsr", **{field: value})
    assert [ring.pid for ring in rings_in(tmp_path)] == [7]
