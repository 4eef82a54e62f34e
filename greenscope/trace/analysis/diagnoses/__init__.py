"""What is wrong: each diagnosis is a class with a check; ``diagnose`` asks them all.

A cause is named once. Where one explains another (who waits while the hub is blocked is starved, too), the
one that is the cause says so in its check, and the other keeps silent.
"""

from __future__ import annotations

from collections.abc import Iterable

from greenscope.trace.analysis.diagnoses.blocking_call import BlockingCall
from greenscope.trace.analysis.diagnoses.contended_socket import ContendedSocket
from greenscope.trace.analysis.diagnoses.deadlock import Deadlock
from greenscope.trace.analysis.diagnoses.diagnosis import Diagnosis
from greenscope.trace.analysis.diagnoses.greenlet_leak import GreenletLeak
from greenscope.trace.analysis.diagnoses.hog_by_slices import HogBySlices
from greenscope.trace.analysis.diagnoses.hub_blocked import HubBlocked
from greenscope.trace.analysis.diagnoses.loop_exit import LoopExit
from greenscope.trace.analysis.diagnoses.lost_wakeup import LostWakeup
from greenscope.trace.analysis.diagnoses.orphan_wait import OrphanWait
from greenscope.trace.analysis.diagnoses.pool_exhausted import PoolExhausted
from greenscope.trace.analysis.diagnoses.slow_dns import SlowDns
from greenscope.trace.analysis.diagnoses.spin import Spin
from greenscope.trace.analysis.diagnoses.starved import Starved
from greenscope.trace.analysis.diagnoses.timeout_storm import TimeoutStorm
from greenscope.trace.analysis.diagnoses.timer_leak import TimerLeak
from greenscope.trace.analysis.diagnoses.wait_no_deadline import WaitNoDeadline
from greenscope.trace.analysis.diagnoses.watcher_leak import WatcherLeak
from greenscope.trace.analysis.finding import Evidence, Finding, Severity, Who
from greenscope.trace.analysis.model import Model
from greenscope.trace.analysis.thresholds import Thresholds

__all__ = ["DIAGNOSES", "Diagnosis", "Evidence", "Finding", "Severity", "Thresholds", "Who", "diagnose", "worst_first"]

DIAGNOSES: tuple[type[Diagnosis], ...] = (
    HubBlocked,
    BlockingCall,
    WaitNoDeadline,
    Deadlock,
    OrphanWait,
    LoopExit,
    ContendedSocket,
    LostWakeup,
    HogBySlices,
    Spin,
    Starved,
    TimeoutStorm,
    SlowDns,
    PoolExhausted,
    GreenletLeak,
    TimerLeak,
    WatcherLeak,
)
"""All of them, in the order of the documentation."""

_ORDER = tuple(Severity)


def diagnose(model: Model) -> list[Finding]:
    """All that is wrong at the moment that the model looks at, the worst first."""
    return worst_first((finding for diagnosis in DIAGNOSES for finding in diagnosis().check(model)), model.now)


def worst_first(findings: Iterable[Finding], now: int) -> list[Finding]:
    """By how much they matter, and among equals by how long they lasted."""
    return sorted(findings, key=lambda finding: (_ORDER.index(finding.severity), -finding.lasted(now)))
