"""The pages in docs/ say what the code does: every event kind, header field, command and option is in them."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import click
import pytest

from greenscope.cli import cli
from greenscope.cli.hub_view import look
from greenscope.cli.ps import as_json
from greenscope.trace import events
from greenscope.trace.ring_layout import EVENT, HEADER, MAGIC, SLOT_FIELDS
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


def test_the_worked_example_decodes_to_what_the_page_says() -> None:
    lines = re.findall(r"^[0-9a-f]{8}  ((?:[0-9a-f]{2} ?)+)$", RING_FORMAT, re.MULTILINE)
    time_ns, greenlet, kind, reason, aux, site, arg = EVENT.unpack(bytes.fromhex("".join(lines)))
    assert (time_ns, greenlet, kind, reason) == (2000, 2, events.Kind.GREENLET_PARK, events.Wait.READ)
    assert (aux - 1, site, events.unpack(arg)) == (7, 3, (5, 1500))


def test_every_field_of_ps_as_json_is_in_the_on_call_page_and_no_other(tmp_path: Path) -> None:
    ring, file = new_ring("c", tmp_path / "a.gsr")
    begin(ring)
    hub = as_json(look(tmp_path / "a.gsr"))
    file.close()
    tables = ON_CALL.split("### As JSON")[1].split("| field of a ")[1:]
    documented = [re.findall(r"`(\w+)`", "".join(re.findall(r"^\|([^|]+)\|", t, re.MULTILINE))) for t in tables]
    assert documented[0] == list(hub)
    assert documented[1] == list(hub["greenlets"][0])


def commands() -> list[str]:
    return sorted(cli.commands)


@pytest.mark.parametrize("name", commands())
def test_every_command_and_each_of_its_options_is_in_the_readme(name: str) -> None:
    assert f"greenscope {name}" in README
    command = cli.commands[name]
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
