"""What opens over the panes of ``greenscope top``: a finding, a greenlet, or the keys."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from greenscope.cli.ps_text import COLUMNS, cells_of
from greenscope.cli.top_look import FoundIn
from greenscope.cli.top_looks import Looks
from greenscope.cli.top_table import Entry
from greenscope.cli.words import duration, line_of, printable, wall_time
from greenscope.trace.analysis.model import HUB
from greenscope.trace.records import Site

__all__ = ["Details", "details_width", "finding_text", "greenlet_text", "keys_text"]

_NAMED = 20
_LABEL = 14
_WIDEST = 120  # as the app's style has it

_KEYS = (
    ("Tab, Shift+Tab", "go to the other pane: findings, greenlets"),
    ("Up, Down", "go to a row; PageUp, PageDown, Home and End too"),
    ("Enter", "show it whole; Esc goes back"),
    ("/", "filter the greenlets while you type: name, state, what it waits on, line; all words must be there"),
    ("Esc", "no filter"),
    ("s, S", "sort by the next column, or by the one before"),
    ("r", "sort the other way round"),
    ("[, ]", "the greenlets and findings of one hub, or of all"),
    ("Space", "hold the picture, and go on"),
    ("t", "dark, or light"),
    ("q, Ctrl+C", "end"),
)
_WORDS = (
    ("Load", "the share of its time that a hub is away from its poll, in the last two seconds; the bars are seconds"),
    ("p50, p99", "how long half, and 99 of 100, of those that were ready waited for the hub, in the last ten seconds"),
    ("Waits", "how long one that is ready has waited for it by now"),
)


class Details(ModalScreen[None]):
    """A text over the whole, which scrolls; it may change while it is open.

    Args:
        title: what it is about.
        text: it.
        subject: which finding or greenlet; None for neither.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "dismiss", show=False),
        Binding("question_mark", "dismiss", show=False),
        Binding("space", "app.hold", show=False),
    ]

    def __init__(self, title: str, text: Text, subject: tuple[object, ...] | None = None) -> None:
        super().__init__()
        self.subject = subject
        self._about = title
        self._text = text

    def compose(self) -> ComposeResult:
        """The text, in a frame."""
        with VerticalScroll(id="details") as frame:
            frame.border_title = self._about
            frame.border_subtitle = "Esc goes back"
            yield Static(self._text, id="text")

    def show(self, text: Text) -> None:
        """Show this instead."""
        self._text = text
        if self.is_mounted:
            self.query_one("#text", Static).update(text)


def details_width(width: int) -> int:
    """How wide the lines of details are on a screen of that width."""
    return min(width * 94 // 100, _WIDEST) - 6


def finding_text(one: FoundIn, looks: Looks, width: int) -> Text:
    """All that a finding says, in lines of that width."""
    finding, view, page = one.finding, one.hub.view, _Page(looks, width)
    page.text.append(f"{finding.severity}", looks.severities[finding.severity])
    page.text.append(f"  {finding.id}\n\n", looks.soft)
    page.line("", finding.sentence, f"bold {looks.text}")
    if finding.until:
        over = f", over for {duration(max(view.now_ns - finding.until, 0))}"
    else:
        over = ", goes on" if view.state == "live" else ""
    since = wall_time(one.hub.wall_ns(finding.since))
    page.facts(
        [
            ("Greenlet", "" if finding.greenlet is None else finding.greenlet.name),
            ("Line", line_of(finding.site)),
            ("About", finding.resource),
            ("Since", f"{since}, for {duration(finding.lasted(view.now_ns))}{over}"),
            ("Times", str(finding.count) if finding.count > 1 else ""),
            ("Hub", f"{one.hub.number} {view.info.thread_name}"),
        ]
    )
    if finding.stack:
        page.lines("Stack, innermost first", map(line_of, finding.stack))
    if finding.evidence:
        page.title("What was seen")
        for evidence in finding.evidence:
            when = wall_time(one.hub.wall_ns(evidence.at))[11:] if evidence.at else " " * 12
            who = f"{evidence.greenlet.name} " if evidence.greenlet is not None else ""
            at = f", at {line_of(evidence.site)}" if evidence.site not in {None, finding.site} else ""
            page.line(f"  {when}  ", f"{who}{evidence.text}{at}")
    if finding.others:
        more = len(finding.others) - _NAMED
        names = ", ".join(other.name for other in finding.others[:_NAMED])
        page.lines("With", [names + (f" and {more} more" if more > 0 else "")])
    page.lines("What to do", [finding.advice])
    return page.text


def greenlet_text(entry: Entry, stack: Sequence[Site], ended: bool, looks: Looks, width: int) -> Text:
    """All that is known of a greenlet.

    Args:
        entry: it, as it was seen last.
        stack: where it parked.
        ended: whether it is not there any more.
        looks: colours.
        width: of the lines.
    """
    row, view, page = entry.row, entry.hub.view, _Page(looks, width)
    cells = dict(zip(COLUMNS, cells_of(view, row), strict=True))
    parent = next((one.name for one in view.rows if one.greenlet == row.parent), f"greenlet #{row.parent}")
    page.line("", row.name, f"bold {looks.text}")
    if ended:
        page.line("", "has ended; this is what was seen last", looks.alarm)
    page.facts(
        [
            ("State", f"{row.state} for {cells['For']}"),
            *((name, cells[name]) for name in ("Waiting on", "Until", "Switches", "Run time")),
            ("Spawned by", "the hub" if row.parent == HUB else parent if row.parent else ""),
            ("Hub", f"{entry.hub.number} {view.info.thread_name}"),
        ]
    )
    where = "Where it went on from" if row.state == "running" else "Where it parked"
    page.lines(where, list(map(line_of, stack)) or ["a line that is not known"])
    return page.text


def keys_text(looks: Looks, width: int) -> Text:
    """What each key does, and what the figures mean."""
    page = _Page(looks, width)
    for title, pairs in (("Keys", _KEYS), ("Figures", _WORDS)):
        page.title(title)
        for name, meaning in pairs:
            page.line(f"  {name:16}", meaning)
    return page.text


class _Page:
    """A text being written, to a width: what is longer goes on below its own beginning."""

    def __init__(self, looks: Looks, width: int) -> None:
        self.text = Text()
        self.looks = looks
        self._width = max(width, 40)

    def title(self, title: str) -> None:
        self.text.append(f"\n{title}\n" if self.text else f"{title}\n", f"bold {self.looks.accent}")

    def line(self, label: str, text: str, style: str | None = None) -> None:
        self.text.append(label, self.looks.soft)
        lines = textwrap.wrap(printable(text), max(self._width - len(label), 20)) or [""]
        self.text.append(f"\n{' ' * len(label)}".join(lines) + "\n", style or self.looks.text)

    def facts(self, facts: Sequence[tuple[str, str]]) -> None:
        self.text.append("\n")
        for name, value in facts:
            if value:
                self.line(f"{name:{_LABEL}}", value)

    def lines(self, title: str, lines: Iterable[str]) -> None:
        self.title(title)
        for line in lines:
            self.line("  ", line)
