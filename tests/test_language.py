"""The page's words beside the analysis's: what both have a name for is called the same, and every diagnosis has one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from greenscope.trace.analysis import State
from greenscope.trace.analysis.critical_path import ENDED, UNKNOWN, UNSTARTED, piece_label
from greenscope.trace.analysis.diagnoses import DIAGNOSES, Severity
from greenscope.trace.analysis.narrate import LANGUAGES
from greenscope.trace.analysis.states import LABELS

LANGUAGE = Path(__file__).resolve().parent.parent / "frontend" / "src" / "language"


def table(language: str) -> dict[str, str]:
    """The page's words in a language, by key."""
    texts = [path.read_text(encoding="utf-8") for path in sorted((LANGUAGE / language).glob("*.ts"))]
    return dict(re.findall(r'^  "([\w.-]+)":\s*"(.*)",$', "\n".join(texts), re.MULTILINE))


def test_the_page_has_the_languages_in_which_steps_are_told() -> None:
    assert {path.name for path in LANGUAGE.iterdir() if path.is_dir()} == set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_diagnosis_and_severity_has_a_name(language: str) -> None:
    words = table(language)
    assert {key for key in words if key.startswith("diagnosis.")} == {f"diagnosis.{each.id}" for each in DIAGNOSES}
    assert {key for key in words if key.startswith("severity.")} == {f"severity.{each}" for each in Severity}


def test_waits_and_states_are_called_on_the_page_what_the_commands_call_them() -> None:
    words = table("en")
    assert set(LABELS.values()) <= {words[key] for key in words if key.startswith("wait.")}
    pieces = {
        State.RUNNING: "running",
        State.READY: "starved",
        UNKNOWN: "unknown",
        ENDED: "ended",
        UNSTARTED: "unstarted",
    }
    for state, key in pieces.items():
        assert piece_label(state, 0) == words[f"state.{key}"]
