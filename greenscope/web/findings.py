"""Findings as the page gets them: worked out once for all pages that look at a ring, and with the lines of source.

The source is read where the viewer runs. It is shown only if the file was not changed since the process began:
a line that is not the one that ran is worse than none.
"""

from __future__ import annotations

import linecache
from pathlib import Path
from typing import Any

from greenscope.trace.analysis.as_json import site_as_json, who_as_json
from greenscope.trace.analysis.diagnoses import Finding, worst_first
from greenscope.trace.records import Site
from greenscope.web.session import Session

__all__ = ["findings"]

_MOST = 50
_OTHERS = 20
_FRAMES = 50
_AROUND = 2  # lines of source before and after


def findings(session: Session) -> dict[str, Any]:
    """All that was found so far, the worst first."""
    session.examine()
    found = worst_first(session.seen.values(), session.now())
    return {"type": "findings", "total": len(found), "findings": [_finding(session, each) for each in found[:_MOST]]}


def _finding(session: Session, finding: Finding) -> dict[str, Any]:
    now = session.model.now
    return {
        "id": finding.id,
        "severity": str(finding.severity),
        "greenlet": who_as_json(finding.greenlet),
        "site": site_as_json(finding.site),
        "start": session.relative(finding.since),
        "end": session.relative(finding.until) if finding.until else None,
        "duration": finding.lasted(now),
        "count": finding.count,
        "resource": finding.resource or None,
        "others": [who_as_json(who) for who in finding.others[:_OTHERS]],
        "others_total": len(finding.others),
        "sentence": finding.sentence,
        "advice": finding.advice,
        "evidence": [
            {
                "text": evidence.text,
                "at": session.relative(evidence.at) if evidence.at else None,
                "greenlet": who_as_json(evidence.greenlet),
                "site": site_as_json(evidence.site),
            }
            for evidence in finding.evidence
        ],
        "stack": [site_as_json(frame) for frame in finding.stack[:_FRAMES]],
        "source": _source(session, finding.site),
    }


def _source(session: Session, site: Site | None) -> dict[str, Any] | None:
    """The lines around a site, and the number of the first; None if they cannot be had."""
    if site is None or site.line < 1:
        return None
    try:
        path = Path(site.file)
        if not path.is_absolute() or path.stat().st_mtime > session.info.start_wall_ns / 1e9:
            return None
    except (OSError, ValueError):
        return None
    linecache.checkcache(site.file)
    first = max(site.line - _AROUND, 1)
    lines = [line.rstrip() for line in linecache.getlines(site.file)[first - 1 : site.line + _AROUND]]
    return {"first": first, "lines": lines} if lines else None
