"""Damaged rings, given to all that reads rings: ``python -m tests.fuzz.target SECONDS SEED DIRECTORY``.

A damaged ring is either refused, by an error that is meant to be read, or read for what it is worth. Any other
exception, a case that takes longer than ten seconds, or more than a gibibyte of memory is a finding: it is left
in the directory, and said with its seed. What it printed last are the counts, as JSON.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from click.testing import CliRunner

from greenscope.cli.events import events
from greenscope.cli.hub_view import look
from greenscope.cli.info import info
from greenscope.cli.profile import profile
from greenscope.cli.ps import ps
from greenscope.cli.requests import requests
from greenscope.errors import GreenscopeError
from greenscope.trace.analysis.profile import By
from greenscope.trace.analysis.request_list import Only, Order
from greenscope.trace.reader import RingReader
from greenscope.trace.replaying import Replaying
from greenscope.trace.rings import rings_in
from greenscope.trace.snapshot import snapshot
from greenscope.web import present
from greenscope.web import replay as stepped
from greenscope.web.requests import request as request_whole
from greenscope.web.requests import requests as requests_of
from greenscope.web.session import Session
from tests.fuzz.mutate import mutated, seeds

CASE_SECONDS = 10
MEMORY = 1 << 30


def read(path: Path) -> None:
    with closing(RingReader(path)) as reader:
        reader.greenlets()
        reader.counters(), reader.state(), reader.end_ns(), reader.oldest
        lost = taken = 0
        before = -1
        while before < reader.position:
            before = reader.position
            batch = reader.read_batch(100)
            lost, taken = lost + batch.lost, taken + len(batch)
            for event in batch.events[:50].tolist():
                reader.stack(event[5])
                reader.string(event[6] & 0xFFFFFFFF)
            assert all(0 <= index < len(batch) for index in batch.texts)
            assert all(len(text) <= 28 * 300 for text in batch.texts.values())
        assert reader.position <= max(reader.head, before)
        assert lost == reader.lost


def copy(path: Path) -> None:
    target = path.with_name("copy.gsr")
    snapshot(path, target)
    try:
        with closing(RingReader(path)) as ring, closing(RingReader(target)) as reader:
            assert len(reader.read(1 << 20)) == len(ring.read(1 << 20))
            assert reader.state() != "live"
    finally:
        target.unlink()


def show(path: Path) -> None:
    session = Session(path)
    try:
        for _ in range(100):
            if not session.follow():
                break
        now = session.now()
        begin = session.begin()
        json.dumps(
            [present.status(session), present.greenlets(session), present.latency(session), present.ring(session)]
        )
        width = max(now - begin, 1)
        _, lanes = present.lanes_in(session, begin, now, "", 0, 50)
        present.segments(session, [lane.greenlet for lane in lanes], begin, now, max(width // 1000, 1), now)
        for lane in lanes[:5]:
            json.dumps(present.at(session, lane.greenlet, begin + width // 2, width // 100))
        listed = requests_of(session, Order.SLOWEST, "", Only.ALL, "a")["requests"]
        for each in listed[:5]:
            json.dumps(request_whole(session, each["number"]))
    finally:
        session.close()


def step(path: Path) -> None:
    with closing(Replaying(path)) as replaying:
        count = len(replaying.replay)
        stepped.as_bytes(stepped.overview(replaying, "zh"))
        for first in {0, count // 2, max(count - 20, 0)}:
            stepped.as_bytes(stepped.frames(replaying.replay, first, first + 20, "en"))
        for number in range(0, count, max(count // 10, 1)):
            stepped.as_bytes(stepped.why(replaying.replay, number, "zh"))
        if count:
            stepped.as_bytes(stepped.strip(replaying.replay, count // 3, count - 1, 50))


def command(path: Path) -> None:
    for function, options in (
        (events, ["--json"]),
        (events, ["--explain"]),
        (events, ["--greenlet", "main"]),
        (info, []),
        (info, ["--json"]),
        (ps, []),
        (requests, []),
        (requests, ["--json", "--failed"]),
        *((requests, ["--request", str(number)]) for number in range(2, 8)),
        (profile, ["--collapsed"]),
        *((profile, ["--by", str(by)]) for by in By),
        (profile, ["--json", "--by", "stack", "--from", "1ms", "--to", "2s"]),
    ):
        result = CliRunner().invoke(function, [str(path), *options], catch_exceptions=True)
        error = result.exception
        if error is not None and not isinstance(error, GreenscopeError | SystemExit):
            raise error
    rings_in(path.parent)
    look(path)


TARGETS = (read, copy, show, step, command)


def fuzz(seconds: float, seed: int, directory: Path) -> Counter[str]:
    """Try mutations until the time is over; a finding's exception goes through."""
    counts: Counter[str] = Counter()
    rings = seeds(directory)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        case = seed + counts["cases"]
        rng = random.Random(case)
        data = mutated(rng.choice(rings), rng)
        path = directory / "case.gsr"
        path.write_bytes(data)
        if rng.random() < 0.02:  # a hole of some gibibytes
            os.truncate(path, rng.randrange(1 << 33))
        for target in TARGETS if counts["cases"] % 8 == 0 else TARGETS[:4]:  # commands take longest
            signal.alarm(CASE_SECONDS)
            try:
                target(path)
                counts[f"{target.__name__} read"] += 1
            except (GreenscopeError, OSError):
                counts[f"{target.__name__} refused"] += 1
            except BaseException:
                kept = directory / f"finding-{case}.gsr"
                path.rename(kept)
                print(f"{target.__name__}, seed {case}: {kept}", file=sys.stderr)
                raise
            finally:
                signal.alarm(0)
        counts["cases"] += 1
    return counts


def too_long(*_: object) -> None:
    raise RuntimeError(f"a case took longer than {CASE_SECONDS} s")


if __name__ == "__main__":
    signal.signal(signal.SIGALRM, too_long)
    # What is mapped before, libraries and their threads' stacks, does not count.
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    print(json.dumps({"seed": int(sys.argv[2]), **fuzz(float(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))}))
