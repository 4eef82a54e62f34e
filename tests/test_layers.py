"""Data only moves right: the imports of every module obey the table in docs/architecture.md."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# (who, whom): each importing module needs a line that allows it. The order is the data path's.
BASE = ("greenscope", "greenscope.errors")
# The runtime also asks which level it is, and notes what a program would note itself: its requests.
TRACE_WRITES = (
    "greenscope.trace",
    "greenscope.trace.debugging",
    "greenscope.trace.events",
    "greenscope.trace.here",
    "greenscope.trace.levels",
    "greenscope.trace.notes",
    "greenscope.trace.recorder",
    "greenscope.trace.socket_calls",
    "greenscope.trace.stall_log",
    "greenscope.trace.traceparent",
)
RING = ("greenscope.trace.ring*", "greenscope.trace._ring")
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "greenscope": (),
    "greenscope.__main__": ("greenscope.cli",),
    "greenscope.errors": (),
    "greenscope.auto": ("greenscope.integrations.gevent",),  # what a program imports to be recorded
    "greenscope.runtime*": ("greenscope.runtime*", *TRACE_WRITES),
    "greenscope.trace": ("greenscope.trace.levels", "greenscope.trace.notes"),  # its API, loaded when it is used
    "greenscope.trace.here": ("greenscope.trace.recorder",),  # the type
    "greenscope.trace.levels": ("greenscope.trace.events", "greenscope.trace.recorder"),  # the type
    "greenscope.trace.notes": (
        "greenscope.trace.events",
        "greenscope.trace.here",
        "greenscope.trace.recorder",  # the type
        "greenscope.trace.ring_layout",
    ),
    "greenscope.trace.debugging": (),
    "greenscope.trace.traceparent": ("greenscope.trace.ring_layout",),
    "greenscope.trace.events": (),
    "greenscope.trace.watchdog": ("greenscope.trace.events", "greenscope.trace.recorder", *RING),  # the recorder's type
    "greenscope.trace.socket_calls": ("greenscope.trace.events",),
    "greenscope.trace.stall_log": ("greenscope.trace.events", *RING),
    "greenscope.trace.ring*": ("greenscope.trace.events", "greenscope.trace.levels", *RING),
    "greenscope.trace.recorder": (
        "greenscope.trace.events",
        "greenscope.trace.here",
        "greenscope.trace.levels",
        "greenscope.trace.stall_log",
        "greenscope.trace.watchdog",
        *RING,
    ),
    "greenscope.trace.records": ("greenscope.trace.ring_layout",),  # what the reader hands to the right, as values
    "greenscope.trace.record_cursor": ("greenscope.trace.events", "greenscope.trace.records", *RING),
    "greenscope.trace.reader": (
        "greenscope.trace.record_cursor",
        "greenscope.trace.events",
        "greenscope.trace.records",
        *RING,
    ),
    "greenscope.trace.analysis*": ("greenscope.trace.analysis*", "greenscope.trace.events", "greenscope.trace.records"),
    "greenscope.trace.examination": ("greenscope.trace.analysis*", "greenscope.trace.reader"),
    "greenscope.trace.replaying": ("greenscope.trace.analysis*", "greenscope.trace.reader", "greenscope.trace.records"),
    "greenscope.trace.snapshot": (
        "greenscope.trace.events",
        *RING,
    ),  # makes a ring of a ring, in the traced process too
    "greenscope.trace.stacks": ("greenscope.trace.records",),  # asks the watchdog of another process
    "greenscope.trace.export*": ("greenscope.trace*",),
    # In the traced process: these, and nothing of the viewer.
    "greenscope.web.access": (),
    "greenscope.web.beside": ("greenscope.web.access", *TRACE_WRITES),
    "greenscope.web.middleware*": (
        "greenscope.web.middleware*",
        "greenscope.web.access",
        "greenscope.web.beside",
        *TRACE_WRITES,
    ),
    "greenscope.web*": ("greenscope.web*", "greenscope.trace*"),
    # It copies rings, and has another process look into the copies.
    "greenscope.integrations.pytest_*": (
        "greenscope.integrations.pytest_*",
        "greenscope.runtime*",
        "greenscope.trace.rings",
        "greenscope.trace.snapshot",
        *TRACE_WRITES,
        *RING,
    ),
    "greenscope.integrations*": (
        "greenscope.integrations*",
        "greenscope.runtime*",
        "greenscope.web.middleware*",
        *TRACE_WRITES,
    ),
    # A lesson tells of a replay; its programs are like any user's.
    "greenscope.learn*": (
        "greenscope.learn*",
        "greenscope.trace.analysis*",
        "greenscope.trace.events",
        "greenscope.trace.records",
    ),
    "greenscope.learn.programs*": ("greenscope.runtime*",),
    "greenscope.demo*": ("greenscope.demo*", "greenscope.runtime*"),  # a program like any user's
    "greenscope.cli*": ("greenscope*",),
}

# Third parties that only some modules may know.
ONLY_IN: dict[str, tuple[str, ...]] = {
    "pyuv": ("greenscope.runtime.loop",),
    "greenlet": (
        "greenscope.runtime",  # exports its names, as gevent does
        "greenscope.runtime.greenlet",
        "greenscope.runtime.links",  # half of it
        "greenscope.runtime.pool",  # GreenletExit
        "greenscope.runtime.raw_greenlet",
        "greenscope.runtime.hub",
        "greenscope.runtime.parking",
        "greenscope.runtime.parked",  # the type, to find them all
        "greenscope.runtime.thread",  # a thread that is killed ends as a greenlet does
        "greenscope.runtime.timeout",  # getcurrent
        "greenscope.runtime.waiting",  # GreenletExit, and the type
        "greenscope.runtime.loop",  # the type alone, here and in waiter
        "greenscope.runtime.waiter",
        "greenscope.runtime.wsgi_handler",  # GreenletExit
        "greenscope.integrations.gevent.loops",  # its tracer
    ),
    "numpy": (  # never in the traced process: it is large, and slow to import
        "greenscope.trace.records",
        "greenscope.trace.reader",
        "greenscope.trace.record_cursor",
        "greenscope.trace.analysis*",
        "greenscope.trace.export*",
        "greenscope.web*",
        "greenscope.learn*",
        "greenscope.cli*",
    ),
    "httptools": ("greenscope.runtime.wsgi_parser",),
    "gevent": ("greenscope.integrations.gevent*",),
    "gunicorn": ("greenscope.integrations.gunicorn",),
    "pytest": ("greenscope.integrations.pytest_*",),
    "click": ("greenscope.cli*", "greenscope.__main__"),
    "rich": ("greenscope.cli*",),
    "textual": ("greenscope.cli.top_*",),  # large: no other command is to load it
    "fastapi": ("greenscope.web*",),
    "starlette": ("greenscope.web*",),
    "uvicorn": ("greenscope.web*", "greenscope.cli*"),
    "websockets": ("greenscope.web*",),
    "plotly": ("greenscope.web*",),
    "pydantic": ("greenscope.web*",),
    "opentelemetry": ("greenscope.web.otlp*",),
    "prometheus_client": ("greenscope.web.metrics",),
    "asyncio": ("greenscope.web*", "greenscope.cli*", "greenscope.demo.*"),  # the demo's peers are other processes
}

VIEWER_ONLY = (
    "fastapi",
    "starlette",
    "uvicorn",
    "websockets",
    "plotly",
    "pydantic",
    "numpy",
    "prometheus_client",
    "opentelemetry",
)
IN_TRACED_PROCESS = ("greenscope.web", "greenscope.web.access", "greenscope.web.beside", "greenscope.web.middleware*")


def modules() -> dict[str, Path]:
    paths = (ROOT / "greenscope").rglob("*.py")
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def imports(path: Path, known: dict[str, Path]) -> Iterator[str]:
    """The modules that the file imports: ``from package import module`` names the module, not the package."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{path}: a relative import hides its layer"
            submodules = {f"{node.module}.{alias.name}" for alias in node.names}
            found = {name for name in submodules if name in known or name.endswith("._ring")}
            yield from found
            if len(found) < len(submodules):
                yield node.module


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def allowed(importer: str) -> tuple[str, ...]:
    """The first line that names it, exactly or by its longest pattern."""
    best = max((line for line in MAY_IMPORT if fnmatchcase(importer, line)), key=len, default=None)
    assert best is not None, f"{importer}: in no layer; give it a line in MAY_IMPORT"
    return (*BASE, *MAY_IMPORT[best])


def test_no_module_imports_against_the_direction_of_data():
    known = modules()
    wrong = [
        f"{importer} imports {imported}"
        for importer, path in known.items()
        for imported in imports(path, known)
        if imported.split(".")[0] == "greenscope" and not matches(imported, allowed(importer))
    ]
    assert wrong == []


def test_nothing_imports_the_command_line():
    known = modules()
    importers = {
        importer
        for importer, path in known.items()
        for imported in imports(path, known)
        if matches(imported, ("greenscope.cli*",)) and not matches(importer, ("greenscope.cli*", "greenscope.__main__"))
    }
    assert importers == set()


def test_third_parties_are_known_only_where_they_belong():
    known = modules()
    wrong = [
        f"{importer} imports {imported}"
        for importer, path in known.items()
        for imported in imports(path, known)
        if (top := imported.split(".")[0]) in ONLY_IN
        and (not matches(importer, ONLY_IN[top]) or (top in VIEWER_ONLY and matches(importer, IN_TRACED_PROCESS)))
    ]
    assert wrong == []
