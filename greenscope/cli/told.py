"""What is wrong in some recordings, and who waits for what in them: for a process that wants neither numpy nor a wait.

``python -m greenscope.cli.told FILE.gsr…`` prints JSON, a list of one object a file: ``file``, ``pid``, ``command``,
``findings`` (the words of ``greenscope diagnose``) and ``parked``, a line for each greenlet that lives. It is how
the pytest plugin asks, from the process that is traced. It ends by itself when it takes too long.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from greenscope.cli.diagnose import findings_as_text
from greenscope.cli.hub_view import look
from greenscope.cli.words import duration, line_of, printable
from greenscope.errors import GreenscopeError
from greenscope.trace.analysis.table import SORTS, waiting_on
from greenscope.trace.examination import Examination

__all__ = ["told"]

_MOST_SECONDS = 60
_MOST_ROWS = 100
_RUNNER = ("/site-packages/_pytest/", "/site-packages/pluggy/", "/site-packages/pytest/")
_CUT = "records were overwritten before they were read"  # on purpose: what came before is another test's


def told(path: Path) -> dict[str, object]:
    """Of one file.

    Raises:
        GreenscopeError: it is no ring.
        OSError: it cannot be read.
    """
    with closing(Examination(path)) as examination:
        head, *lines = findings_as_text(examination, examination.findings())
    return {
        "file": str(path),
        "pid": examination.info.pid,
        "command": head,
        "findings": [line for line in lines if _CUT not in line and not _is_runners_frame(line)],
        "parked": list(_parked(path)),
    }


def _is_runners_frame(line: str) -> bool:
    """Whether a line shows a frame of what runs the tests, which is the same in every test."""
    return line.startswith("    <frozen runpy>") or (line.startswith("    /") and any(map(line.__contains__, _RUNNER)))


def _parked(path: Path) -> Iterator[str]:
    rows = sorted(look(path).rows, key=SORTS["state"])
    for row in rows[:_MOST_ROWS]:
        until = ""
        if row.deadline_ns is not None:
            late = "" if row.deadline_ns >= 0 else " ago"
            until = f", until {'in ' if not late else ''}{duration(abs(row.deadline_ns))}{late}"
        what = waiting_on(row)
        doing = f"waiting on {what}" if row.state == "waiting" and what else row.state
        at = f", at {line_of(row.site)}" if row.site is not None else ""
        yield printable(f"{row.name}: {doing} for {duration(row.for_ns)}{until}{at}")
    if len(rows) > _MOST_ROWS:
        yield f"and {len(rows) - _MOST_ROWS} more"


def main() -> None:
    signal.alarm(_MOST_SECONDS)
    said = []
    for name in sys.argv[1:]:
        try:
            said.append(told(Path(name)))
        except (GreenscopeError, OSError) as error:
            said.append({"file": name, "pid": 0, "command": name, "findings": [f"  {error}"], "parked": []})
    print(json.dumps(said))


if __name__ == "__main__":
    main()
