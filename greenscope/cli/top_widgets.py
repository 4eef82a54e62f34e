"""The panes of ``greenscope top``. Each is given what it shows, and knows nothing of where it comes from."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from greenscope.cli.ps_text import COLUMNS, hub_words
from greenscope.cli.ps_text import NUMERIC as NUMERIC_COLUMNS
from greenscope.cli.top_look import FoundIn, Hub
from greenscope.cli.top_looks import DARK, Looks
from greenscope.cli.top_table import SORT_COLUMNS, Entry, Order, Widths, texts
from greenscope.cli.words import duration, printable
from greenscope.trace.analysis.diagnoses import Severity
from greenscope.trace.analysis.words import many

__all__ = ["FindingList", "GreenletTable", "hub_lines", "sparkline"]

_NUMERIC = frozenset(COLUMNS[index] for index in NUMERIC_COLUMNS)
_BARS = "▁▂▃▄▅▆▇█"
_NOTHING = "-"
_WORDS_FROM = 24  # cells behind a hub's figures, for what it does
_LATE_NS = 1_000_000_000
_PATHS_FROM = 140  # cells from which on lines are shown with their directory


# Hubs.


def sparkline(shares: Sequence[float | None]) -> str:
    """Shares from 0 to 1 as bars, one cell each; a dot for what was lost, nothing ahead of the first that is known."""
    bars = "".join("·" if share is None else _BARS[min(int(share * len(_BARS)), len(_BARS) - 1)] for share in shares)
    return bars.lstrip("·").rjust(len(bars))


def hub_lines(hubs: Sequence[Hub], room: Size, looks: Looks, chosen: int | None = None) -> Text:
    """A line a hub, and what it does where there is room: below it if it is alone, else behind it.

    Args:
        hubs: them.
        room: how wide the lines may be, and how many.
        looks: colours.
        chosen: the hub whose greenlets are shown, if not all are.
    """
    names = [printable(f"{hub.number} {hub.view.info.thread_name}") for hub in hubs]
    name_width = max(4, min(max(map(len, names)), 18 if room.width < 120 else 30))
    alone = len(hubs) == 1
    figures = 6 + 9 * 3 + 11 + 1
    history = min(room.width - name_width - 4 - figures, len(hubs[0].history), 60 if room.width < 150 else 90)
    history = max(history, 0)  # what does not fit is cut on the right
    text = Text(no_wrap=True, overflow="ellipsis")
    last = f"last {history} s"[:history]
    head = f"  {'Hub':{name_width}}  {last:{history}}{'Load':>6}{'p50':>9}{'p99':>9}{'Waits':>9}{'Events/s':>11}"
    text.append(head, looks.soft)
    for hub, name in _shown(list(zip(hubs, names, strict=True)), room.height - 1 - alone, chosen):
        text.append("\n")
        marked = "▸ " if chosen == hub.number else "  "
        text.append(marked + set_cell_size(name, name_width) + "  ", looks.accent if marked.strip() else looks.text)
        busy = hub.load is not None and hub.load > 0.9
        text.append(sparkline(list(hub.history)[len(hub.history) - history :]), looks.alarm if busy else looks.accent)
        text.append(f"{_NOTHING if hub.load is None else f'{hub.load:.0%}':>6}", looks.alarm if busy else looks.text)
        for ns in (hub.p50, hub.p99, hub.waits):
            text.append(f"{duration(ns) if ns else _NOTHING:>9}", looks.text)
        rate = hub.events_per_second
        text.append(f"{_NOTHING if rate is None else f'{rate:,.0f}'.replace(',', ' '):>11}", looks.text)
        doing, style = _doing(hub, looks)
        if alone:
            text.append(f"\n  {' ' * name_width}  {doing}", style)
        elif room.width - name_width - history - figures >= _WORDS_FROM:
            text.append(f"  {doing}", style)
    return text


def _doing(hub: Hub, looks: Looks) -> tuple[str, str]:
    view = hub.view
    if hub.trouble:
        return printable(hub.trouble), looks.alarm
    said = printable(hub_words(view)) if view.state == "live" else f"{view.state}; {printable(hub_words(view))}"
    if hub.late_ns >= _LATE_NS:
        said += f"; reading is {duration(hub.late_ns)} late"
    if hub.lost:
        said += f"; {hub.lost} records lost"
    if view.unlisted:
        said += f"; {view.unlisted} greenlets found no room in its table"
    stalled = (
        view.hub is not None and not view.hub.polling and view.now_ns - view.hub.since_ns >= view.info.stall_ns > 0
    )
    return said, looks.alarm if stalled or view.state != "live" else looks.soft


def _shown(hubs: list[tuple[Hub, str]], room: int, chosen: int | None) -> list[tuple[Hub, str]]:
    """As many as there is room for, the chosen one among them."""
    if len(hubs) <= room:
        return hubs
    place = next((index for index, (hub, _) in enumerate(hubs) if hub.number == chosen), 0)
    first = max(min(place - room // 2, len(hubs) - room), 0)
    return hubs[first : first + room]


# Findings.


class FindingList(OptionList):
    """What is wrong, the worst first; Enter opens one."""

    class Opened(Message):
        """One is to be shown whole."""

        def __init__(self, found: FoundIn) -> None:
            super().__init__()
            self.found = found

    _LABEL = 10

    def __init__(self, id: str) -> None:  # noqa: A002 - the name is Textual's
        super().__init__(id=id)
        self.found: Sequence[FoundIn] | None = None
        self.looks = DARK
        self._several = False

    def show(self, found: Sequence[FoundIn], several: bool, looks: Looks) -> None:
        """Show these; ``several`` says that the hub has to be named."""
        before = self.found
        highlighted = self.highlighted
        self.found, self.looks, self._several = found, looks, several
        numbers: dict[Severity, int] = {}
        for one in found:
            numbers[one.finding.severity] = numbers.get(one.finding.severity, 0) + 1
        said = ", ".join(
            f"{number} critical" if severity is Severity.CRITICAL else many(number, severity)
            for severity, number in numbers.items()
        )
        self.border_title = f"Findings: {said or 'none'}"
        if before is not None and found and [one.cause for one in before] == [one.cause for one in found]:
            for index in range(len(found)):
                self.replace_option_prompt_at_index(index, self._prompt(found[index]))
            return
        self._fill()
        if highlighted is not None and before and found:
            cause = before[min(highlighted, len(before) - 1)].cause
            same = next((index for index, one in enumerate(found) if one.cause == cause), None)
            self.highlighted = min(highlighted, len(found) - 1) if same is None else same

    def on_resize(self) -> None:
        """Break the sentences anew."""
        if self.found:
            for index, one in enumerate(self.found):
                self.replace_option_prompt_at_index(index, self._prompt(one))

    def on_focus(self) -> None:
        """Have one to open."""
        if self.found and self.highlighted is None:
            self.highlighted = 0

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Open it."""
        event.stop()
        if self.found:
            self.post_message(self.Opened(self.found[event.option_index]))

    def _fill(self) -> None:
        if self.found:
            self.set_options([Option(self._prompt(one)) for one in self.found])
        else:
            self.set_options([Option(Text("nothing is wrong", self.looks.soft), disabled=True)])

    def _prompt(self, one: FoundIn) -> Text:
        """The severity, and beside it the sentence, broken to the width there is."""
        finding = one.finding
        sentence = printable(finding.sentence)
        if finding.until:
            sentence += f" (over for {duration(max(one.hub.view.now_ns - finding.until, 0))})"
        if self._several:
            sentence = f"hub {one.hub.number}: {sentence}"
        width = max(self.scrollable_content_region.width - self._LABEL - 3, 20)
        lines = textwrap.wrap(sentence, width) or [""]
        text = Text()
        text.append(f"{finding.severity:{self._LABEL}}", self.looks.severities[finding.severity])
        text.append(f"\n{' ' * self._LABEL}".join(lines), self.looks.soft if finding.until else self.looks.text)
        return text


# Greenlets.


class GreenletTable(ScrollView, can_focus=True):
    """Rows, of which only those on the screen are drawn; Enter opens one.

    The cursor stays with its greenlet wherever that goes, but for the first row: who has not moved looks at the top.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home,g", "move(-10000000)", show=False),
        Binding("end,G", "move(10000000)", show=False),
        Binding("enter", "open", show=False),
    ]

    class Opened(Message):
        """One is to be shown whole."""

        def __init__(self, entry: Entry) -> None:
            super().__init__()
            self.entry = entry

    def __init__(self, id: str) -> None:  # noqa: A002 - the name is Textual's
        super().__init__(id=id)
        self.entries: Sequence[Entry] = ()
        self.order = Order()
        self.cursor = 0
        self.looks = DARK
        self._several = False
        self._widths = Widths()
        self._columns: dict[str, int] = {}
        self._gap = 1

    @property
    def page(self) -> int:
        """How many rows are on the screen."""
        return max(self.size.height - 1, 1)

    def _texts(self, entry: Entry) -> dict[str, str]:
        return texts(entry, self._several, self.size.width < _PATHS_FROM)

    def show(self, entries: Sequence[Entry], order: Order, several: bool, looks: Looks) -> None:
        """Show these; ``several`` says that there is more than one hub."""
        key = self.entries[self.cursor].key if self.cursor < len(self.entries) else None
        if (order, several) != (self.order, self._several):
            self._widths.forget()
        self.entries, self.order, self._several, self.looks = entries, order, several, looks
        if self.cursor:
            same = next((index for index, entry in enumerate(entries) if entry.key == key), self.cursor)
            self.cursor = max(min(same, len(entries) - 1), 0)
        self._arrange()

    def to_top(self) -> None:
        """Go to the first row."""
        self.cursor = 0
        self._arrange()

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        self.cursor = max(min(self.cursor + by, len(self.entries) - 1), 0)
        self._arrange()

    def action_page(self, by: int) -> None:
        """Move the cursor by what is on the screen."""
        self.action_move(by * max(self.page - 1, 1))

    def action_open(self) -> None:
        """Show the row at the cursor whole."""
        if self.cursor < len(self.entries):
            self.post_message(self.Opened(self.entries[self.cursor]))

    def on_resize(self) -> None:
        """Lay the columns out anew."""
        self._widths.forget()
        self._arrange()

    def on_click(self, event: events.Click) -> None:
        """Move the cursor there; a second click opens."""
        place = event.get_content_offset(self)
        if place is not None and place.y > 0:
            self.action_move(self.scroll_offset.y + place.y - 1 - self.cursor)
            if event.chain == 2:
                self.action_open()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """What comes into sight may need wider columns."""
        super().watch_scroll_y(old_value, new_value)
        self._fit()

    def _arrange(self) -> None:
        """Have the cursor on the screen, and room for what is there."""
        self.virtual_size = Size(self.size.width, len(self.entries) + 1)
        top = self.scroll_offset.y
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False)
        elif self.cursor >= top + self.page:
            self.scroll_to(y=self.cursor - self.page + 1, animate=False)
        self._fit()
        self.refresh()

    def _fit(self) -> None:
        top = self.scroll_offset.y
        rows = [self._texts(entry) for entry in self.entries[top : top + self.page]]
        self._columns, self._gap = self._widths.fit(rows, self.order, max(self.size.width - 2, 1))

    def render_line(self, y: int) -> Strip:
        """A line of the screen."""
        base = self.rich_style
        if y == 0:
            by = SORT_COLUMNS[self.order.sort]
            mark = "▴" if self.order.backwards else "▾"
            head = {name: f"{name} {mark}" if name == by else name for name in COLUMNS}
            return self._strip("  ", head, base + Style.parse(f"bold {self.looks.soft}"))
        index = self.scroll_offset.y + y - 1
        if index >= len(self.entries):
            return Strip.blank(self.size.width, base)
        entry = self.entries[index]
        row, stall_ns = entry.row, entry.hub.view.info.stall_ns
        stalls = row.state == "running" and row.for_ns >= stall_ns > 0
        style = base + Style.parse(self.looks.alarm if stalls else self.looks.states[row.state])
        here = index == self.cursor and self.has_focus
        if here:
            style += self.get_component_rich_style("greenlets--cursor", partial=True)
        return self._strip("▸ " if here else "  ", self._texts(entry), style)

    COMPONENT_CLASSES: ClassVar[set[str]] = {"greenlets--cursor"}

    def _strip(self, mark: str, row: dict[str, str], style: Style) -> Strip:
        found = []
        for name, width in self._columns.items():
            text = row[name]
            length = cell_len(text)
            if length > width:
                text = set_cell_size(text, width - 1) + "…"
            found.append(" " * (width - length) + text if name in _NUMERIC else set_cell_size(text, width))
        line = mark + (" " * self._gap).join(found)
        return Strip([Segment(set_cell_size(line, self.size.width), style)], self.size.width)
