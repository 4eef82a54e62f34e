"""A lesson as one HTML file: its replay, step by step, its text in each language, and the page's script and style.

It works from a disk, without a network: its policy forbids it to load anything, and names what it has by hashes. It is
for handing out, so it tells files by their names, and not in which directories somebody has them. All steps are in it,
and so a recording of very many is refused.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path, PurePath
from typing import Any

from greenscope.errors import GreenscopeError
from greenscope.trace.analysis.narrate import LANGUAGES
from greenscope.trace.replaying import Replaying
from greenscope.web import replay as present
from greenscope.web.packed_json import in_script, packed

__all__ = ["MOST_STEPS", "TooManySteps", "lesson_page", "page_name"]

MOST_STEPS = 2000
_STATIC = Path(__file__).parent / "static"


class TooManySteps(GreenscopeError):
    """A recording is too long for a page."""


def lesson_page(replaying: Replaying, tell: Callable[[str], dict[str, Any]], ring: str, language: str | None) -> str:
    """The page.

    Args:
        replaying: the recording.
        tell: gives the lesson in a language.
        ring: the recording's id.
        language: that the page is in, until somebody switches; None: the one that the browser wants.

    Raises:
        TooManySteps: there are more than ``MOST_STEPS``.
    """
    steps = len(replaying.replay)
    if steps > MOST_STEPS:
        raise TooManySteps(
            f"this recording has {steps:,} steps, and a page holds at most {MOST_STEPS:,}: let the program do less "
            "(fewer rounds, fewer greenlets), or hand out a recording (greenscope record --detail teach -o FILE.gsr)"
        )
    held = {each: _held(replaying, tell(each), ring, each) for each in LANGUAGES}
    return _filled(
        (_STATIC / "lesson.html").read_text(encoding="utf-8"),
        data=in_script(packed(_by_name(held))),
        title=held[language or "en"]["lesson"]["title"].replace("`", ""),
        lang=language or "",
    )


def page_name(argv: Sequence[str]) -> str:
    """What to call the file: after the script, or the module that was run."""
    modules = (word for option, word in pairwise(argv) if option == "-m")
    program = next((word for word in argv if word.endswith(".py")), None) or next(modules, "")
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", PurePath(program.removesuffix(".py")).name).strip("-")
    return f"greenscope-{stem or 'lesson'}.html"


def _held(replaying: Replaying, lesson: dict[str, Any], ring: str, language: str) -> dict[str, Any]:
    """What the page holds, as ``EmbeddedReplay`` of frontend/src/protocol/replay-source.ts."""
    replay, steps = replaying.replay, len(replaying.replay)
    return {
        "id": ring,
        "lesson": lesson,
        # Nothing comes after it here, even if the program lives.
        "overview": {**present.overview(replaying, language, lesson=True), "complete": True},
        "frames": present.frames(replay, 0, steps, language),
        "causes": [present.why(replay, step, language)["causes"] for step in range(steps)],
        "strip": present.strip(replay, 0, steps - 1, MOST_STEPS),
    }


def _by_name(held: dict[str, Any]) -> Any:
    """The same, with files called by as much of their paths as tells them apart."""
    names = _names({file for each in held.values() for file in _files(each)})

    def named(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: names[one] if key == "file" else named(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [named(one) for one in value]
        return value

    return named(held)


def _files(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {value["file"]} if "file" in value else set().union(*map(_files, value.values()))
    return set().union(*map(_files, value)) if isinstance(value, list | tuple) else set()


def _names(files: set[str]) -> dict[str, str]:
    names = {}
    for file in files:
        parts = PurePath(file).parts
        tails = ("/".join(parts[-count:]) for count in range(1, len(parts) + 1))
        names[file] = next((tail for tail in tails if sum(_ends(other, tail) for other in files) == 1), file)
    return names


def _ends(file: str, tail: str) -> bool:
    return f"/{file}".endswith(f"/{tail}")


def _filled(template: str, *, data: str, title: str, lang: str) -> str:
    """The template with all its places filled in, in one go: what is put in has no places."""
    scripts = {name: _text(f"{name}.js") for name in ("theme", "language", "lesson")}
    style = _text("lesson.css")
    policy = (
        f"default-src 'none'; script-src {' '.join(map(_hash, scripts.values()))}; style-src {_hash(style)}; "
        "base-uri 'none'; form-action 'none'"
    )
    places = {
        "policy": policy,
        "style": style,
        "theme": scripts["theme"],
        "language": scripts["language"],
        "script": scripts["lesson"],
        "data": data,
        "title": html.escape(title),
        "lang": lang,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda place: places[place[1]], template)


def _text(name: str) -> str:
    """A built file. In a page, a script ends at the first ``</script``: our own have none."""
    text = (_STATIC / name).read_text(encoding="utf-8")
    assert not re.search(r"</script|</style|<!--", text, re.IGNORECASE), name
    return text


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode()}'"
