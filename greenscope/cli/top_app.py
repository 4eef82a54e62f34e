"""The screen of ``greenscope top``: a line a hub, what is wrong, and every greenlet.

A thread looks at the process, a fifth of the time where it can, so that keys are always heard; what it saw
is a value, which is shown. Nothing here waits for the process.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.geometry import Size
from textual.screen import Screen
from textual.widgets import Input, Static

from greenscope.cli.program import end_signals
from greenscope.cli.ps_text import life
from greenscope.cli.top_details import Details, details_width, finding_text, greenlet_text, keys_text
from greenscope.cli.top_look import Picture, Watched
from greenscope.cli.top_looks import COLOURLESS, DARK, LIGHT, THEMES, Looks
from greenscope.cli.top_table import SORT_COLUMNS, Entry, Order, arranged
from greenscope.cli.top_widgets import FindingList, GreenletTable, hub_lines
from greenscope.cli.words import printable
from greenscope.trace.analysis.table import counts

__all__ = ["TopApp"]

_REFRESH_SECONDS = 0.5
_SHARE = 4  # after a look, so many times as long as it took nobody looks,
_MOST_SECONDS = 2.0  # but no longer
_SORTS = tuple(SORT_COLUMNS)


class TopApp(App[None]):
    """The program.

    Args:
        watched: what it looks at; it stays the caller's to close.
    """

    ENABLE_COMMAND_PALETTE = False
    TITLE = "greenscope top"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c,ctrl+q", "quit", show=False, priority=True),
        Binding("ctrl+z", "suspend_process", show=False),
    ]
    CSS = """
    Screen { background: $background; }
    #title, #hubs, #keys { text-wrap: nowrap; text-overflow: ellipsis; }
    #title { height: 1; background: $panel; }
    #hubs { height: auto; max-height: 35%; }
    FindingList, GreenletTable {
        background: $background; background-tint: transparent; padding: 0;
        border: none; border-top: solid $rule; border-title-color: $soft;
        border-title-style: none; scrollbar-size-vertical: 1; scrollbar-color: $rule; scrollbar-background: $panel;
    }
    FindingList:focus, GreenletTable:focus {
        background-tint: transparent; border: none; border-top: heavy $primary; border-title-color: $primary;
        border-title-style: bold;
    }
    FindingList { height: auto; max-height: 34%; min-height: 2; }
    FindingList > .option-list--option, FindingList > .option-list--option-disabled { padding: 0 0 0 2; }
    FindingList > .option-list--option-highlighted { background: $background; padding: 0 0 0 2; text-style: none; }
    FindingList:focus > .option-list--option-highlighted { background: $cursor; text-style: none; }
    FindingList > .option-list--option-hover { background: $panel; }
    GreenletTable { height: 1fr; overflow-x: hidden; overflow-y: auto; }
    GreenletTable > .greenlets--cursor { background: $cursor; }
    #filtering { height: 1; background: $panel; display: none; }
    #filtering.shown { display: block; }
    #label { width: auto; color: $primary; text-style: bold; }
    #filter { width: 1fr; height: 1; border: none; padding: 0; background: $panel; }
    #keys { height: 1; background: $panel; color: $soft; }
    Details { align: center middle; background: $background 60%; }
    #details {
        width: 94%; max-width: 120; height: auto; max-height: 94%; padding: 0 1; background: $surface;
        border: round $primary; border-title-color: $primary; border-title-style: bold;
        border-subtitle-color: $soft; scrollbar-size-vertical: 1;
        scrollbar-color: $rule; scrollbar-background: $panel;
    }
    FindingList:focus:nocolor > .option-list--option-highlighted { text-style: reverse; }
    GreenletTable:nocolor > .greenlets--cursor { text-style: reverse; }
    Details:nocolor { background: $background; }
    """

    def __init__(self, watched: Watched) -> None:
        colourless = "NO_COLOR" in os.environ
        super().__init__(ansi_color=True if colourless else None)
        self.looks = COLOURLESS if colourless else DARK
        self.picture: Picture | None = None
        self.held = False
        self._watched = watched
        self._go_on = asyncio.Event()
        self._panes = _Panes(watched)
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = self.looks.theme

    def on_mount(self) -> None:
        """Begin to look."""
        loop = asyncio.get_running_loop()
        for number in end_signals():
            loop.add_signal_handler(number, self.exit, None, 128 + number)
        self.push_screen(self._panes)
        self.run_worker(self._watch(), exit_on_error=True)

    def action_hold(self) -> None:
        """Let the picture be, or go on."""
        self.held = not self.held
        if not self.held:
            self._go_on.set()
        self._panes.redraw()

    def action_looks(self) -> None:
        """Dark, or light."""
        if self.looks is not COLOURLESS:
            self.looks = LIGHT if self.looks is DARK else DARK
            self.theme = self.looks.theme
            self._panes.redraw()

    async def _watch(self) -> None:
        while True:
            began = time.monotonic()
            picture = await asyncio.to_thread(self._watched.look)
            took = time.monotonic() - began
            if not self.held:
                self.picture = picture
                self._panes.redraw()
            if not picture.lives:
                break
            await asyncio.sleep(min(max(_REFRESH_SECONDS, _SHARE * took), _MOST_SECONDS))
            if self.held:
                self._go_on.clear()
                await self._go_on.wait()
        if self.held:  # its end is shown when it is asked for
            self._go_on.clear()
            await self._go_on.wait()
            self.picture = picture
            self._panes.redraw()


class _Panes(Screen[None]):
    """The three panes, a title above and the keys below."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "app.quit", show=False),
        Binding("slash", "filter", show=False),
        Binding("escape", "no_filter", show=False),
        Binding("s", "sort(1)", show=False),
        Binding("S", "sort(-1)", show=False),
        Binding("r", "backwards", show=False),
        Binding("left_square_bracket", "hub(-1)", show=False),
        Binding("right_square_bracket", "hub(1)", show=False),
        Binding("space", "app.hold", show=False),
        Binding("t", "app.looks", show=False),
        Binding("question_mark,h,f1", "help", show=False),
    ]

    def __init__(self, watched: Watched) -> None:
        super().__init__()
        self.order = Order()
        self.chosen: int | None = None
        self._watched = watched

    def compose(self) -> ComposeResult:
        """The panes."""
        yield Static(id="title")
        yield Static(id="hubs")
        yield FindingList(id="findings")
        yield GreenletTable(id="greenlets")
        with Horizontal(id="filtering"):
            yield Static(" filter: ", id="label")
            yield Input(id="filter", placeholder="name, state, what it waits on, line", compact=True)
        yield Static(id="keys")

    def on_mount(self) -> None:
        """Begin at the table."""
        self.query_one(GreenletTable).focus()
        self.redraw()

    def on_resize(self) -> None:
        """Draw for the new size."""
        self.redraw()

    @property
    def looks(self) -> Looks:
        """The colours."""
        assert isinstance(self.app, TopApp)
        return self.app.looks

    @property
    def _width(self) -> int:
        return details_width(self.app.size.width)

    # What is shown.

    def redraw(self) -> None:
        """Show the app's picture, as it is to be shown now."""
        app = self.app
        assert isinstance(app, TopApp)
        if not self.is_mounted or not self.size.width:
            return
        picture, looks = app.picture, app.looks
        self._draw_title(picture, app.held)
        self._draw_keys()
        if picture is None:
            self.query_one("#hubs", Static).update(Text("  reading what was recorded", looks.soft))
            return
        if picture.of(self.chosen) == []:
            self.chosen = None
        several = len(picture.hubs) > 1
        room = Size(self.size.width, max(self.size.height * 35 // 100, 3))
        self.query_one("#hubs", Static).update(hub_lines(picture.hubs, room, looks, self.chosen))
        self.query_one(FindingList).show(picture.found(self.chosen), several, looks)
        entries = arranged(picture.of(self.chosen), self.order)
        table = self.query_one(GreenletTable)
        table.show(entries, self.order, several, looks)
        table.border_title = self._heading(picture, entries)
        self._refresh_details(picture)

    def _draw_title(self, picture: Picture | None, held: bool) -> None:
        looks = self.looks
        left = f" greenscope top  {self._watched.pid}"
        right, style = "", looks.soft
        if picture is not None:
            left += f" {printable(' '.join(picture.argv))}"
            shown = next((hub for hub in picture.hubs if hub.view.state == "live"), picture.hubs[0])
            right, style = life(shown.view), looks.live
            if not picture.lives:
                style = looks.alarm
            elif held:
                right, style = f"held, was {right}", looks.held
        title = Text(left[: max(self.size.width - len(right) - 3, 0)], f"bold {looks.text}", no_wrap=True)
        title.append(" " * max(self.size.width - len(title) - len(right) - 1, 0))
        title.append(right, style)
        self.query_one("#title", Static).update(title)

    def _draw_keys(self) -> None:
        looks, text = self.looks, Text(" ", no_wrap=True)
        picture = self.app.picture if isinstance(self.app, TopApp) else None
        several = picture is not None and len(picture.hubs) > 1
        keys = [("Enter", "details"), ("Tab", "pane"), ("/", "filter"), ("s", "sort"), ("Space", "hold")]
        keys += [("Esc", "no filter")] * bool(self.order.words) + [("[ ]", "hub")] * several
        keys += [("?", "help"), ("q", "quit")]
        for spared in ("Space", "Tab", "Enter"):  # in the help they are still
            if sum(len(key) + len(what) + 3 for key, what in keys) > self.size.width:
                keys = [pair for pair in keys if pair[0] != spared]
        for key, what in keys:
            text.append(key, f"bold {looks.accent}")
            text.append(f" {what}  ", looks.soft)
        text.rstrip()
        self.query_one("#keys", Static).update(text)

    def _heading(self, picture: Picture, entries: list[Entry]) -> str:
        hubs = picture.of(self.chosen)
        rows = [row for hub in hubs for row in hub.view.rows]
        states = ", ".join(f"{number} {state}" for state, number in counts(rows).items() if number) or "nobody"
        where = f" of hub {self.chosen}" if self.chosen is not None else ""
        found = f"{len(entries)} of " if self.order.words else ""
        return f"{found}{len(rows)} greenlets{where}: {states}"

    # What is done.

    def action_sort(self, by: int) -> None:
        """Sort by another column."""
        place = (_SORTS.index(self.order.sort) + by) % len(_SORTS)
        self._reorder(self.order._replace(sort=_SORTS[place]))

    def action_backwards(self) -> None:
        """Sort the other way round."""
        self._reorder(self.order._replace(backwards=not self.order.backwards))

    def action_hub(self, by: int) -> None:
        """Show the greenlets of another hub, or of all."""
        assert isinstance(self.app, TopApp)
        picture = self.app.picture
        if picture is not None and len(picture.hubs) > 1:
            choices = [None, *(hub.number for hub in picture.hubs)]
            self.chosen = choices[(choices.index(self.chosen) + by) % len(choices)]
            self._reorder(self.order)

    def action_filter(self) -> None:
        """Ask for words."""
        field = self.query_one("#filter", Input)
        self.query_one("#filtering").add_class("shown")
        field.focus()

    def action_no_filter(self) -> None:
        """Show all rows."""
        field = self.query_one("#filter", Input)
        field.value = ""
        self.query_one("#filtering").remove_class("shown")
        self._reorder(self.order._replace(words=""))
        if field.has_focus:
            self.query_one(GreenletTable).focus()

    def action_help(self) -> None:
        """Show the keys."""
        self.app.push_screen(Details("Help", keys_text(self.looks, self._width)))

    def key_down(self) -> None:
        """From the filter, which it does not concern, into the table."""
        if self.query_one("#filter", Input).has_focus:
            self.query_one(GreenletTable).focus()

    @on(Input.Changed, "#filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        if event.value != self.order.words:
            self._reorder(self.order._replace(words=event.value))

    @on(Input.Submitted, "#filter")
    def _filter_done(self, event: Input.Submitted) -> None:
        if not event.value.strip():
            self.action_no_filter()
        self.query_one(GreenletTable).focus()

    def _reorder(self, order: Order) -> None:
        self.order = order
        self.query_one(GreenletTable).cursor = 0
        self.redraw()
        self.query_one(GreenletTable).to_top()

    # What is open.

    @on(FindingList.Opened)
    def _open_finding(self, event: FindingList.Opened) -> None:
        found = event.found
        self.app.push_screen(Details("Finding", finding_text(found, self.looks, self._width), ("finding", found.cause)))

    @on(GreenletTable.Opened)
    def _open_greenlet(self, event: GreenletTable.Opened) -> None:
        entry = event.entry
        self._opened = entry
        self.app.push_screen(Details("Greenlet", self._greenlet(entry, False), ("greenlet", entry.key)))

    def _greenlet(self, entry: Entry, ended: bool) -> Text:
        return greenlet_text(entry, self._watched.stack(entry.hub.number, entry.row), ended, self.looks, self._width)

    def _refresh_details(self, picture: Picture) -> None:
        screen = self.app.screen
        if not isinstance(screen, Details) or screen.subject is None:
            return
        what, which = screen.subject
        if what == "finding":
            for found in picture.found(None):
                if found.cause == which:
                    screen.show(finding_text(found, self.looks, self._width))
        else:
            rows = (Entry(hub, row) for hub in picture.hubs for row in hub.view.rows)
            now = next((entry for entry in rows if entry.key == which), None)
            self._opened = now or self._opened
            screen.show(self._greenlet(self._opened, now is None))
