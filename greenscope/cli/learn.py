"""``greenscope learn``: a lesson's program, or one's own, run once, and stepped through in the dashboard."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

from greenscope.cli.program import (
    GEVENT_OPTION,
    ProgramCommand,
    command_of,
    end_signals,
    run_to_end,
    traced_environment,
)
from greenscope.cli.viewer import PORT_OPTION, listen, serve_until, stop_signal, url_of
from greenscope.errors import GreenscopeError
from greenscope.learn import LANGUAGES, LESSONS, Lesson, Run, as_json, own_lesson
from greenscope.trace.analysis.replay import Replay
from greenscope.trace.events import Kind
from greenscope.trace.replaying import Replaying
from greenscope.trace.rings import rings_in
from greenscope.trace.watchdog import STALL_MS
from greenscope.web.app import create_app
from greenscope.web.lesson_page import lesson_page
from greenscope.web.source import Source

__all__ = ["learn"]


class _LearnCommand(ProgramCommand):
    """Options may follow a lesson's name; those that follow a script are the script's."""

    def split(self, ctx: click.Context, args: list[str]) -> tuple[list[str], list[str]]:
        own, rest = super().split(ctx, args)
        if rest and lesson_called(rest[0]) is not None:
            more, others = super().split(ctx, rest[1:])
            return [*own, *more], [rest[0], *others]
        return own, rest


@click.command(cls=_LearnCommand, options_metavar="[OPTIONS] [NAME | NUMBER | SCRIPT] [ARGS]...")
@click.argument("program", nargs=-1, metavar="", type=click.UNPROCESSED)
@PORT_OPTION
@click.option(
    "--lang",
    type=click.Choice(list(LANGUAGES)),
    help="The language of the titles and of the page; that of the environment, or the browser's, unless told.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the lesson into this HTML file to hand out, instead of showing it: it needs no viewer and no network.",
)
@GEVENT_OPTION
def learn(program: tuple[str, ...], port: int, lang: str | None, output: Path | None, gevent: bool) -> None:
    """Watch what the hub does, one step at a time, on a real run.

    Without an argument: the lessons there are. With one of them, by its name or its number: its program is run, and
    the dashboard shows the lesson about that run. With a script, or -m and a module: the same for your own program;
    what follows it is the program's. Ctrl-C ends the dashboard. With -o, before a script, there is a file instead.
    """
    language = lang or language_of(os.environ)
    if not program:
        if output is not None:
            raise GreenscopeError(f"which lesson is to be written into {str(output)!r}? greenscope learn lists them")
        click.echo(_list(language))
        return
    lesson = lesson_called(program[0])
    if lesson is not None and program[1:]:
        raise GreenscopeError(f"a lesson takes no arguments, and {program[1]!r} is one")
    if lesson is not None and gevent:
        raise GreenscopeError(f"lesson {lesson.name!r} runs on greenscope.runtime; --gevent is for your own scripts")
    if output is not None and not output.name:
        raise GreenscopeError("-o needs the name of a file, such as page.html")
    command = command_of([str(lesson.program)] if lesson is not None else _own(program), gevent)
    if output is not None and not output.resolve().parent.is_dir():
        raise GreenscopeError(f"there is no directory {str(output.resolve().parent)!r} to put {output.name!r} into")
    listener = listen(port) if output is None else None
    with tempfile.TemporaryDirectory(prefix="greenscope-learn-") as name:
        directory = Path(name)
        environment = dict(traced_environment(directory, detail="teach", keep_all=True))
        if lesson is not None:  # which is about stalls of that length, whatever one's own services are set to
            environment["GREENSCOPE_STALL_MS"] = str(STALL_MS)
        code = run_to_end(command, environment)
        if code in {128 + number for number in end_signals()}:
            sys.exit(code)  # who ends the program so wants no dashboard, either
        called = lesson.name if lesson is not None else _called(program)
        ring = _ring_of(directory, called, code, asks_for_gevent=not gevent and _imports_gevent(program[0]))
        if code and lesson is not None and lesson.fails:
            click.echo(
                "greenscope: the program of this lesson ends with an error, and that is what it is about", err=True
            )
        elif code:
            click.echo(f"greenscope: {called} ended with {code}", err=True)
        if lesson is None and (page := _page_asked_of(program)) is not None:
            meant = f"to write a page: greenscope learn -o {page} {program[0]}"
            click.echo(f"greenscope: what follows {called} is its own, and so is -o {page}; {meant}", err=True)
        tell = _Tell(ring, lesson, called)
        if listener is None:
            assert output is not None
            _write(ring, tell, lang, output)
            return
        title = f"lesson {LESSONS.index(lesson) + 1}, {lesson.title(language)}" if lesson is not None else called
        asked = f"/?lang={lang}" if lang is not None else "/"
        where = f"{url_of(listener)}{asked}#ring={ring.stem}&step={tell.begins(language)}"
        said = f"greenscope: {where}  shows {title}  (Ctrl-C ends it)"
        app = create_app(Source([directory]), lesson=tell, rest_after=None)
        asyncio.run(serve_until(app, listener, _stopped(said)))


def _write(ring: Path, tell: _Tell, language: str | None, output: Path) -> None:
    """Write the page of a lesson: all of it, or nothing."""
    replaying = Replaying(ring)
    try:
        page = lesson_page(replaying, lambda each: tell.of(replaying.replay, each), ring.stem, language)
    finally:
        replaying.close()
    with tempfile.TemporaryDirectory(prefix=f".{output.stem}-", dir=output.resolve().parent) as name:
        written = Path(name) / output.name
        written.write_text(page, encoding="utf-8")
        written.replace(output.resolve())
    click.echo(f"greenscope: wrote {output}, {len(page.encode()) // 1000} kB; open it in a browser", err=True)


async def _stopped(said: str) -> None:
    """Say where it is, and return when the user asks to stop."""
    stop = asyncio.create_task(stop_signal())
    await asyncio.sleep(0)  # from here on Ctrl-C is heard
    click.echo(said, err=True)
    await stop


def lesson_called(name: str) -> Lesson | None:
    """A lesson by its name or its number."""
    return next((one for number, one in enumerate(LESSONS, 1) if name in (one.name, str(number))), None)


def language_of(environment: Mapping[str, str]) -> str:
    """The language that the locale's variables ask for, as far as there is one."""
    asked = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := environment.get(name))), "")
    code = asked[:2].lower()
    return code if code in LANGUAGES and not asked[2:3].isalnum() else "en"


def _list(language: str) -> str:
    lines = [f"{number:>3}  {one.name:<12}{one.title(language)}" for number, one in enumerate(LESSONS, 1)]
    return "\n".join([*lines, "", "greenscope learn NAME shows one of them, greenscope learn SCRIPT your own program."])


def _own(program: tuple[str, ...]) -> tuple[str, ...]:
    """A program, if it is one; else what may have been meant is told."""
    name = program[0]
    if name == "-m" or (name and Path(name).exists()):
        return program
    near = get_close_matches(name, [one.name for one in LESSONS], cutoff=0.5)
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    raise GreenscopeError(
        f"{name!r} is neither a lesson nor a script; {meant}greenscope learn, without a name, lists the lessons"
    )


def _page_asked_of(program: tuple[str, ...]) -> str | None:
    """The page that somebody wanted, who put -o where it is the program's."""
    return next(
        (name for option, name in pairwise(program) if option in ("-o", "--output") and name.endswith(".html")), None
    )


def _called(program: tuple[str, ...]) -> str:
    """What it is called: the script's name, also where that is run by a module, patched."""
    named = [one for one in program if one not in ("-m", "greenscope.runtime.monkey")]
    name = Path(named[0]).name if named else program[-1]
    return name.encode("utf-8", "replace").decode()  # it goes into pages, and may have bytes that are no text


def _imports_gevent(program: str) -> bool:
    """Whether a script's text does, as far as that can be told without running it."""
    try:
        return re.search(rb"^\s*(?:import|from)\s+gevent\b", Path(program).read_bytes(), re.MULTILINE) is not None
    except OSError:
        return False


def _ring_of(directory: Path, called: str, code: int, *, asks_for_gevent: bool) -> Path:
    """The ring of the first hub at which anybody ever waited."""
    for ring in sorted(rings_in(directory), key=lambda ring: ring.start_wall_ns):
        if _somebody_waited(ring.path):
            return ring.path
    if code:
        click.echo(
            f"greenscope: {called} ended with {code} before any greenlet waited (it said why above): there is nothing "
            "to learn from that",
            err=True,
        )
        sys.exit(code)
    if asks_for_gevent:
        raise GreenscopeError(f"{called} runs on gevent, so it is: greenscope learn --gevent {called}")
    raise GreenscopeError(
        f"no greenlet waited in {called}, so there is nothing to learn from it: it has to use greenscope.runtime, "
        "or be run by -m greenscope.runtime.monkey, or on gevent with --gevent"
    )


def _somebody_waited(ring: Path) -> bool:
    replaying = Replaying(ring)
    try:
        return any(True for _ in Run(replaying.replay).steps(Kind.GREENLET_PARK))
    finally:
        replaying.close()


class _Tell:
    """Tells the one lesson, of its ring alone; each language once."""

    def __init__(self, ring: Path, lesson: Lesson | None, called: str) -> None:
        self._ring, self._lesson, self._called = ring, lesson, called
        self._told: dict[str, dict[str, Any]] = {}

    def __call__(self, ring: Path, replay: Replay, language: str) -> dict[str, Any] | None:
        return self.of(replay, language) if ring == self._ring else None

    def begins(self, language: str) -> int:
        """The step of its first passage: what is before that, a hub's beginnings, teaches nothing yet."""
        replaying = Replaying(self._ring)
        try:
            passages = self.of(replaying.replay, language)["passages"]
        finally:
            replaying.close()
        return next((passage["step"] for passage in passages if passage["step"] is not None), 0)

    def of(self, replay: Replay, language: str) -> dict[str, Any]:
        """The lesson, about that ring's replay."""
        if language not in self._told:
            run = Run(replay)
            self._told[language] = as_json(self._lesson or own_lesson(run, self._called), run, language)
        return self._told[language]
