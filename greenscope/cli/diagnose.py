"""``greenscope diagnose``: what is wrong with a process, living or dead, or with a recording."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import click

from greenscope.cli.ring_argument import rings_at
from greenscope.cli.thresholds import THRESHOLD_OPTION, thresholds_of
from greenscope.cli.words import line_of, printable, wall_time
from greenscope.errors import GreenscopeError
from greenscope.trace.analysis.as_json import site_as_json, who_as_json
from greenscope.trace.analysis.diagnoses import DIAGNOSES, Finding
from greenscope.trace.examination import Examination

__all__ = ["VERSION", "diagnose", "finding_as_json", "findings_as_text"]

VERSION = 1
"""Of the JSON; docs/diagnoses.md says what is in it."""

_OTHERS = 5
_ANY = "any"
_OURS = "/greenscope/runtime/"


@click.command()
@click.argument("what", metavar="PID | FILE.gsr")
@click.option("--json", "json_", is_flag=True, help="The same as JSON; docs/diagnoses.md lists its fields.")
@click.option(
    "--fail-on",
    multiple=True,
    metavar="ID",
    help='Exit with 1 if there is such a finding, or any if this is "any". May be repeated.',
)
@THRESHOLD_OPTION
def diagnose(what: str, json_: bool, fail_on: tuple[str, ...], given: tuple[str, ...]) -> None:
    """Say what is wrong: who is stalled, on what, since when, at which line, and what to do.

    The process does not notice; it may be blocked, stopped, or dead. A process's number stands for all
    of its hubs. Without --fail-on the exit code is 0 whatever is found.
    """
    known = [each.id for each in DIAGNOSES]
    for name in fail_on:
        if name not in (*known, _ANY):
            raise GreenscopeError(f"--fail-on: there is no diagnosis {name!r}; there are {', '.join(known)}, and any")
    thresholds = thresholds_of(given)
    looked: list[tuple[Examination, list[Finding]]] = []
    for path in rings_at(what):
        with closing(Examination(path, thresholds)) as examination:
            looked.append((examination, examination.findings()))
    if json_:
        found = [finding_as_json(examination, finding) for examination, findings in looked for finding in findings]
        click.echo(json.dumps({"version": VERSION, "findings": found}, indent=1))
    else:
        for examination, findings in looked:
            click.echo("\n".join(findings_as_text(examination, findings)))
    ids = {finding.id for _, findings in looked for finding in findings}
    if ids and (_ANY in fail_on or ids.intersection(fail_on)):
        sys.exit(1)


# As text.


def findings_as_text(examination: Examination, findings: list[Finding]) -> Iterator[str]:
    """What a person reads of one hub."""
    info, model = examination.info, examination.model
    state = "" if examination.state == "live" else f", {examination.state}"
    yield printable(f"{info.pid}/{info.hub} {' '.join(info.argv)}{state}")
    if model.timeline.lost:
        yield f"  {model.timeline.lost} records were overwritten before they were read: what they said is not known"
    if not findings:
        yield "  nothing is wrong"
    for finding in findings:
        yield ""
        yield f"  {finding.severity}: {finding.id}"
        yield f"  {printable(finding.sentence)}"
        frames = finding.stack or (() if finding.site is None else (finding.site,))
        for frame in [frame for frame in frames if _OURS not in frame.file] or frames:
            yield f"    {line_of(frame)}"
        for evidence in finding.evidence:
            when = wall_time(round(examination.wall(evidence.at) * 1e9))[11:] if evidence.at else " " * 12
            who = f"{evidence.greenlet.name} " if evidence.greenlet is not None else ""
            yield f"    {when}  {printable(who + evidence.text)}"
        hidden = len(finding.others) - _OTHERS
        if finding.others:
            names = ", ".join(one.name for one in finding.others[:_OTHERS])
            yield f"    with {printable(names)}{f' and {hidden} more' if hidden > 0 else ''}"
        yield f"  What to do: {finding.advice}"


# As JSON.


def finding_as_json(examination: Examination, finding: Finding) -> dict[str, Any]:
    """A finding as ``--json`` gives it; docs/diagnoses.md lists the fields."""
    info, now = examination.info, examination.model.now
    return {
        "id": finding.id,
        "severity": str(finding.severity),
        "pid": info.pid,
        "hub": info.hub,
        "greenlet": who_as_json(finding.greenlet),
        "site": site_as_json(finding.site),
        "since": examination.wall(finding.since),
        "duration_ms": finding.lasted(now) / 1e6,
        "going_on": not finding.until,
        "count": finding.count,
        "resource": finding.resource or None,
        "others": [who_as_json(one) for one in finding.others],
        "sentence": finding.sentence,
        "advice": finding.advice,
        "evidence": [
            {
                "text": evidence.text,
                "at": examination.wall(evidence.at) if evidence.at else None,
                "greenlet": who_as_json(evidence.greenlet),
                "site": site_as_json(evidence.site),
            }
            for evidence in finding.evidence
        ],
        "stack": [site_as_json(frame) for frame in finding.stack],
    }
