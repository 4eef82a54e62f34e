"""Each program of the zoo has one thing wrong, and that is found: live, in a snapshot, and after its death."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from greenscope.trace.analysis.diagnoses import DIAGNOSES, Finding
from greenscope.trace.examination import Examination
from greenscope.trace.ring_layout import HEADER_SIZE, read_field
from greenscope.trace.snapshot import snapshot
from tests.diagnosis.programs import Program, examined, programs, ring_of, until

pytestmark = pytest.mark.usefixtures("default_stalls")

PROGRAMS = programs()
LASTING = [program for program in PROGRAMS if not program.ends]
ENDING = [program for program in PROGRAMS if program.ends]


def told(findings: list[Finding]) -> list[tuple[str, str, str, int]]:
    """What of findings has to be the same whenever one looks."""
    return [
        (
            finding.id,
            finding.greenlet.name.split(" #")[0] if finding.greenlet is not None else "",
            Path(finding.site.file).name if finding.site is not None else "",
            finding.site.line if finding.site is not None else 0,
        )
        for finding in findings
    ]


def alive_ns(ring: Path) -> int:
    """When the watchdog last looked."""
    with ring.open("rb") as file:
        return read_field(file.read(HEADER_SIZE), "alive_ns")


def test_every_diagnosis_has_two_programs_one_of_them_hidden_in_noise():
    assert Counter(program.finding for program in PROGRAMS) == {each.id: 2 for each in DIAGNOSES}
    assert {program.name for program in PROGRAMS} == {
        f"{each.id.replace('-', '_')}_{kind}" for each in DIAGNOSES for kind in ("plain", "hidden")
    }


@pytest.mark.parametrize("program", LASTING, ids=lambda program: program.name)
def test_it_is_found_live_in_a_snapshot_and_after_its_death(program: Program, tmp_path: Path):
    expected = [(program.finding, program.greenlet, program.path.name, program.line)]
    directory = tmp_path / "rings"
    with program.running(directory) as process:
        ring = ring_of(directory, process)
        examination = Examination(ring, program.thresholds)
        try:
            assert told(until(examination.findings, process)) == expected
            copy = tmp_path / "copy.gsr"
            snapshot(ring, copy)
            assert told(examined(copy, program.thresholds)) == expected
            # What it leaves says how long it lived, to within the watchdog's looks.
            until(lambda: alive_ns(ring) > examination.model.now, process)
            process.kill()
            process.wait()
            assert told(examination.findings()) == expected
        finally:
            examination.close()
    assert told(examined(ring, program.thresholds)) == expected


@pytest.mark.parametrize("program", ENDING, ids=lambda program: program.name)
def test_it_is_found_in_what_it_left_when_it_had_ended_by_itself(program: Program, tmp_path: Path):
    expected = [(program.finding, program.greenlet, program.path.name, program.line)]
    directory, copy = tmp_path / "rings", tmp_path / "copy.gsr"
    with program.running(directory) as process:
        ring = ring_of(directory, process)
        examination = Examination(ring, program.thresholds)
        try:
            process.communicate()
            assert told(examination.findings()) == expected
        finally:
            examination.close()
    assert told(examined(ring, program.thresholds)) == expected
    snapshot(ring, copy)
    assert told(examined(copy, program.thresholds)) == expected
