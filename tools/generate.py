"""Write the files that repeat Python's tables for C and for TypeScript; see GENERATED for which.

    python -m tools.generate            write them
    python -m tools.generate --check    say which are out of date, and exit with 1 if any is

They are committed, so that neither a C compiler nor a front-end build needs Python to run first,
and so that a change of the format shows in a diff. ``make check`` and a test run ``--check``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum
from pathlib import Path

from greenscope.trace import events, ring_layout
from greenscope.trace.analysis import states

ROOT = Path(__file__).resolve().parent.parent

ENUMS: tuple[type[IntEnum], ...] = (
    events.Kind,
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
)

COMMAND = "Do not edit: run `python -m tools.generate`."


def doc_line(thing: type) -> str:
    return (thing.__doc__ or "").strip().splitlines()[0]


def defines(prefix: str, values: Mapping[str, int | str]) -> list[str]:
    """``#define`` lines, values in one column as clang-format wants; GS_ since Python.h has a WAIT_LOCK."""
    names = {f"GS_{prefix}_{name.upper()}": value for name, value in values.items()}
    width = max(map(len, names))
    return [f"#define {name:{width}} {value}" for name, value in names.items()]


def c_header() -> str:
    """``_ring_layout.h``: numbers of kinds and reasons, and offsets of the fields of a ring file."""
    layout = ring_layout
    sections: list[tuple[str, list[str]]] = [
        (
            "The file's parts.",
            defines(
                "RING",
                {
                    "magic": '"' + "".join(f"\\{byte:03o}" for byte in layout.MAGIC) + '"',
                    "version": layout.VERSION,
                    "header_size": layout.HEADER_SIZE,
                    "event_size": layout.EVENT.size,
                    "site_size": layout.SITE.size,
                    "slot_size": layout.SLOT_SIZE,
                    "flag_numbered": layout.FLAG_NUMBERED,
                    "peer_bytes": layout.PEER_BYTES,
                    "text_bytes": layout.TEXT_BYTES,
                    "max_burst": layout.MAX_BURST,
                    "stack_frames": layout.STACK_FRAMES,
                    "watch_burst": layout.WATCH_BURST,
                    "capacity_unit": layout.CAPACITY_UNIT,
                    "event_step": layout.EVENT_STEP,
                    "section_step": layout.SECTION_STEP,
                    "handle_bits": layout.HANDLE_BITS,
                    "no_fd": f"0x{events.NO_FD:X}u",
                    "no_errno": events.NO_ERRNO,
                    "origin_shift": events.ORIGIN_SHIFT,
                    "not_started": f"0x{events.NOT_STARTED:X}u",
                },
            ),
        ),
        ("Offsets in the header.", defines("HEADER", {name: offset for name, (offset, _) in layout.HEADER.items()})),
        ("Offsets in a greenlet's slot.", defines("SLOT", layout.SLOT_FIELDS)),
        ("States of a greenlet's slot.", defines("STATE", layout.STATES)),
        *((doc_line(enum), defines(enum.__name__.upper(), enum.__members__)) for enum in ENUMS),
    ]
    lines = [
        "/* Generated from greenscope/trace/events.py and greenscope/trace/ring_layout.py.",
        f" * {COMMAND} */",
        "#ifndef GREENSCOPE_RING_LAYOUT_H",
        "#define GREENSCOPE_RING_LAYOUT_H",
    ]
    for comment, body in sections:
        lines += ["", f"/* {comment} */", *body]
    return "\n".join([*lines, "", "#endif", ""])


def ts_object(name: str, comment: str, entries: Iterable[tuple[str, int]]) -> list[str]:
    """An ``as const`` object and its type: what TypeScript has for an enum that vanishes in the build."""
    return [
        "",
        f"/** {comment} */",
        f"export const {name} = {{",
        *(f"  {key}: {int(value)}," for key, value in entries),
        "} as const;",
        f"export type {name} = (typeof {name})[keyof typeof {name}];",
    ]


def typescript() -> str:
    """``events.ts``: the same numbers for the page, with each kind's name and meaning."""
    lines = [
        "// Generated from greenscope/trace/events.py and greenscope/trace/analysis/states.py.",
        f"// {COMMAND}",
    ]
    enums: tuple[type[IntEnum], ...] = (*ENUMS, states.State)
    for enum in enums:
        lines += ts_object(enum.__name__, doc_line(enum), enum.__members__.items())
    lines += [
        "",
        "/** The hub's reason to wait, a number that ``Wait`` leaves free for it. */",
        f"export const REASON_POLL = {states.POLL};",
        "",
        "/** Each kind's name and meaning, by its number. */",
        "export const KINDS: Readonly<Record<Kind, { readonly name: string; readonly meaning: string }>> = {",
    ]
    for kind, doc in events.EVENT_KINDS.items():
        name, meaning = (json.dumps(text, ensure_ascii=False) for text in (doc.name, doc.meaning))
        lines.append(f"  {int(kind)}: {{ name: {name}, meaning: {meaning} }},")
    return "\n".join([*lines, "};", ""])


GENERATED: dict[str, Callable[[], str]] = {
    "greenscope/trace/_ring_layout.h": c_header,
    "frontend/src/protocol/events.ts": typescript,
}


def outdated() -> list[str]:
    """The generated files whose text is not what their source says now."""
    return [name for name, make in GENERATED.items() if not _is_current(ROOT / name, make())]


def _is_current(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.generate", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file is out of date")
    check = parser.parse_args().check
    names = outdated()
    for name in names:
        if check:
            print(f"{name} is out of date: run `python -m tools.generate` and commit it", file=sys.stderr)
        else:
            path = ROOT / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(GENERATED[name](), encoding="utf-8")
            print(f"wrote {name}")
    return 1 if check and names else 0


if __name__ == "__main__":
    sys.exit(main())
