"""docs/diagnoses.md: every diagnosis, threshold and field is on it, and no other."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from greenscope.cli.diagnose import VERSION, finding_as_json
from greenscope.trace.analysis.diagnoses import DIAGNOSES, Finding, Severity, Thresholds
from greenscope.trace.examination import Examination
from tests.trace.rings import begin, new_ring

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = (DOCS / "diagnoses.md").read_text(encoding="utf-8")


def test_every_diagnosis_has_a_headline_in_its_order() -> None:
    headlines = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    assert headlines == [*(each.id for each in DIAGNOSES), "Thresholds", "As JSON"]


def test_every_diagnosis_says_what_it_looks_like_and_how_to_fix_it() -> None:
    for each in DIAGNOSES:
        text = PAGE.split(f"\n## {each.id}\n")[1].split("\n## ")[0]
        assert "In the timeline" in text, each.id
        assert "To fix it" in text, each.id
        assert f"](diagnoses/{each.id}.png)" in text, each.id
        picture = (DOCS / "diagnoses" / f"{each.id}.png").read_bytes()
        assert picture.startswith(b"\x89PNG"), each.id


def test_every_threshold_is_listed_with_its_default() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| ([^|]+) \|$", PAGE, re.MULTILINE)
    assert rows == [(each.name, str(each.default), each.metadata["doc"]) for each in fields(Thresholds)]


def test_every_field_of_a_finding_is_listed_and_its_severities_explained(tmp_path: Path) -> None:
    ring, file = new_ring("c", tmp_path / "a.gsr")
    begin(ring)
    examination = Examination(tmp_path / "a.gsr")
    found = finding_as_json(examination, Finding("x", Severity.NOTE, "It is.", "Let it be.", since=1))
    examination.close()
    file.close()
    table = PAGE.split("| field of a finding |")[1]
    listed = re.findall(r"`(\w+)`", "".join(re.findall(r"^\|([^|]+)\|", table, re.MULTILINE)))
    assert sorted(listed) == sorted(found)
    assert all(f"`{severity}`:" in table for severity in Severity)
    assert f'"version": {VERSION}' in PAGE
