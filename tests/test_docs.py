"""The pages in docs/ say what the code does: every event kind, header field, command and option is in them."""

from __future__ import annotations

import contextlib
import re
import struct
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest

from greenscope.cli import COMMANDS, cli
from greenscope.cli.hub_view import look
from greenscope.cli.ps import as_json
from greenscope.cli.rings import as_json as ring_as_json
from greenscope.trace import events
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event, Site
from greenscope.trace.ring_layout import HEADER, HEADER_SIZE, MAGIC, SLOT_FIELDS
from greenscope.trace.rings import rings_in
from tests.trace.rings import begin, new_ring

ROOT = Path(__file__).resolve().parent.parent
RING_FORMAT = (ROOT / "docs" / "ring-format.md").read_text()
README = (ROOT / "README.md").read_text()
ON_CALL = (ROOT / "docs" / "on-call.md").read_text()


def test_every_event_kind_and_reason_is_in_the_format_page_with_its_number() -> None:
    for kind, doc in events.EVENT_KINDS.items():
        assert f"| {int(kind)} | `{doc.name}` | {doc.meaning} |" in RING_FORMAT
    assert set(events.EVENT_KINDS) == set(events.Kind)
    for doc in events.EVENT_KINDS.values():
        assert not doc.text or f"| `{doc.name}` | {doc.text} |" in RING_FORMAT
    for reasons in (
        events.Spawn,
        events.Wait,
        events.Ready,
        events.Exit,
        events.Watch,
        events.Timeouts,
        events.Resource,
        events.Op,
        events.Detail,
        events.Blocked,
        events.Snapshot,
    ):
        listed = ", ".join(f"{int(member)} {member.name.lower()}" for member in reasons)
        assert f"| {listed} |" in RING_FORMAT


def test_every_header_field_is_in_the_format_page_at_its_offset() -> None:
    for name, (offset, code) in HEADER.items():
        assert f"| {offset} | {struct.calcsize(code)} | `{name}` |" in RING_FORMAT
    assert " ".join(f"{byte:02X}" for byte in MAGIC) in RING_FORMAT


def test_every_slot_field_is_in_the_format_page_at_its_offset() -> None:
    table = RING_FORMAT.split("## Greenlet slots")[1].split("## Events")[0]
    assert [int(offset) for offset in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)] == list(SLOT_FIELDS.values())


def worked_example() -> bytes:
    """The ring of the format page's dump."""
    lines = re.findall(r"^([0-9a-f]{8})  ((?:[0-9a-f]{2} ?){16})$", RING_FORMAT, re.MULTILINE)
    (size,) = re.findall(r"as small as one may be: (\d+) bytes", RING_FORMAT)
    ring = bytearray(int(size))
    for offset, line in lines:
        ring[int(offset, 16) : int(offset, 16) + 16] = bytes.fromhex(line)
    return bytes(ring)


def test_the_worked_example_is_a_ring_that_says_what_the_page_says(tmp_path: Path) -> None:
    path = tmp_path / "a.gsr"
    path.write_bytes(worked_example())
    with contextlib.closing(RingReader(path)) as reader:
        info = reader.info
        assert (info.version, info.pid, info.hub, info.process_start) == (2, 4321, 1, 81234)
        assert (info.start_monotonic_ns, info.stall_ns, reader.state()) == (10**9, 10**8, "died")
        assert info.start_wall_ns == datetime(2025, 11, 24, 16, tzinfo=UTC).timestamp() * 10**9
        (main,) = reader.greenlets()
        assert (main.name, main.greenlet, main.parent, main.state, main.fd) == ("main", 2, 1, "waiting", 7)
        assert (main.peer, main.run_ns, main.switches) == ("127.0.0.1:8000", 250 * 10**6, 1)
        assert main.deadline_ns - main.since_ns == 1500 * 10**6
        assert reader.site(main.site) == Site("/srv/app.py", 12, "serve")
        switch, stall, park, end = reader.read()
        assert isinstance(stall, Event)
        stack = "/srv/app.py\t12\tserve\n/srv/app.py\t20\t<module>"
        assert stall == Event(1850 * 10**6, 2, events.Kind.STALL_BEGIN, arg=1750 * 10**6, text=stack)
        assert stack.replace("\t", "⇥").replace("\n", "⏎") in RING_FORMAT
        assert switch == Event(1750 * 10**6, 2, events.Kind.GREENLET_SWITCH)
        assert park == Event(
            2 * 10**9, 2, events.Kind.GREENLET_PARK, events.Wait.READ, 7 + 1, main.site, events.pack(5, 1500)
        )
        assert end == Event(2 * 10**9, 2, events.Kind.STALL_END, arg=250 * 10**6)


def test_the_worked_examples_table_has_the_bytes_of_its_dump_and_the_fields_of_its_header() -> None:
    ring = worked_example()
    rows = re.findall(r"^\| `([0-9a-f]{2,4})` \| (`[0-9a-f` ]+`) \| ([^|]+) \|", RING_FORMAT, re.MULTILINE)
    assert len(rows) > 30
    for at, texts, what in rows:
        offset = int(at, 16)
        data = bytes.fromhex(texts.replace("`", ""))
        assert ring[offset : offset + len(data)] == data, at
        if offset < HEADER_SIZE:
            fields = what.split(", ")
            lengths = [len(bytes.fromhex(text)) for text in re.findall(r"`([^`]+)`", texts)]
            for name, length in zip(fields, lengths, strict=True):
                assert (offset, length) == (HEADER[name][0], struct.calcsize(HEADER[name][1])), name
                offset += length


def test_every_field_of_ps_as_json_is_in_the_on_call_page_and_no_other(tmp_path: Path) -> None:
    ring, file = new_ring("c", tmp_path / "a.gsr")
    begin(ring)
    hub = as_json(look(tmp_path / "a.gsr"))
    file.close()
    tables = ON_CALL.split("### As JSON")[1].split("| field of a ")[1:]
    documented = [re.findall(r"`(\w+)`", "".join(re.findall(r"^\|([^|]+)\|", t, re.MULTILINE))) for t in tables]
    assert documented[0] == list(hub)
    assert documented[1] == list(hub["greenlets"][0])


def test_every_field_of_rings_as_json_is_in_the_on_call_page_and_no_other(tmp_path: Path) -> None:
    _, file = new_ring("c", tmp_path / "a.gsr")
    (ring,) = rings_in(tmp_path)
    file.close()
    table = ON_CALL.split("| field of a ring |")[1]
    documented = re.findall(r"`(\w+)`", "".join(re.findall(r"^\|([^|]+)\|", table, re.MULTILINE)))
    assert documented == list(ring_as_json(ring))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_each_of_its_options_is_in_the_readme(name: str) -> None:
    assert f"greenscope {name}" in README
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    below = list(command.commands.values()) if isinstance(command, click.Group) else []
    for under in below:
        assert f"greenscope {name} {under.name}" in README
    for param in [*command.params, *(param for under in below for param in under.params)]:
        if isinstance(param, click.Option):
            assert max(param.opts, key=len) in README, f"{name} {param.opts}"


def test_every_environment_variable_is_in_the_readme() -> None:
    sources = (path.read_text() for path in (ROOT / "greenscope").rglob("*.py"))
    named = {name for source in sources for name in re.findall(r"environ[^\n]*[\"'](GREENSCOPE\w*)[\"']", source)}
    assert named >= {"GREENSCOPE", "GREENSCOPE_DIR", "GREENSCOPE_RING_MB"}
    assert {name for name in named if f"`{name}" not in README} == set()
