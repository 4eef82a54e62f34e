"""The interpreter's own tests, unpatched and patched, compared case by case.

usage: python -m tests.acceptance.compare [--with greenscope|gevent|both] [--verbose] [FILE ...]

Runs each file unpatched and patched and prints how many cases differ, and with --verbose which, and how.
``test_interpreter`` uses the same functions and knows which differences are known.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.acceptance.differences import LEFT_OUT, hanging

FILES = (
    "test_socket",
    "test_ssl",
    "test_select",
    "test_selectors",
    "test_queue",
    "test_timeout",
    "test_threading",
    "test_threading_local",
    "test_thread",
    "test_signal",
    "test_subprocess",
    "test_httplib",
    "test_ftplib",
    "test_smtplib",
    "test_poplib",
    "test_imaplib",
    "test_httpservers",
    "test_xmlrpc",
    "test_wsgiref",
)
CASE_SECONDS = 30
FILE_SECONDS = 300
HANGING_SECONDS = 2  # for those that are known to
# A file that hangs this often is not worth more time.
MOST_HANGS = 25

_RUN_CASES = Path(__file__).with_name("run_cases.py")


@dataclass
class Run:
    """How the cases of one file ended."""

    outcomes: dict[str, str] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    took: float = 0.0

    def short(self, case: str) -> str:
        """The last line of what a case had to say."""
        lines = self.details.get(case, "").strip().splitlines()
        return lines[-1] if lines else ""


def run_file(name: str, patch: str, case_seconds: float = CASE_SECONDS, file_seconds: float = FILE_SECONDS) -> Run:
    """Run one file in a process of its own; in further ones if cases hang.

    Args:
        name: module of the package ``test``.
        patch: ``none``, ``greenscope`` or ``gevent``.
        case_seconds: after which a case counts as hanging.
        file_seconds: for all of its processes together.
    """
    run = Run()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="greenscope-acceptance-") as directory:
        log, order_file, output = (Path(directory) / part for part in ("log", "order", "output"))
        left_out = [f"test.{name}.{case}" for case in LEFT_OUT.get(name, ())]
        order = {
            "leave_out": left_out,
            "seconds": case_seconds,
            "sooner": hanging(name) if patch == "greenscope" else [],
            "sooner_seconds": min(HANGING_SECONDS, case_seconds),
        }
        for _ in range(MOST_HANGS):
            left = file_seconds - (time.monotonic() - began)
            if left <= 0:
                run.outcomes[f"test.{name}"] = "hang"
                run.details[f"test.{name}"] = f"not finished after {file_seconds:.0f} seconds"
                break
            order_file.write_text(json.dumps(order), encoding="utf-8")
            status = _process(name, patch, log, order_file, output, left)
            unfinished, finished = _read(log, run)
            if finished:
                break
            if unfinished is None:
                run.outcomes[f"test.{name}"] = "crash"
                run.details[f"test.{name}"] = f"ended with {status}\n{_tail(output)}"
                break
            run.outcomes[unfinished] = "hang" if "Timeout (" in _tail(output) or status == "timeout" else "crash"
            run.details[unfinished] = f"{_tail(output)}\nended with {status}"
            order["leave_out"] = [*left_out, *run.outcomes]
    run.took = time.monotonic() - began
    return run


def _process(name: str, patch: str, log: Path, order: Path, output: Path, left: float) -> str:
    log.write_text("", encoding="utf-8")
    directory = str(log.parent)
    work = tempfile.mkdtemp(dir=directory)
    command = [sys.executable, "-u", str(_RUN_CASES), name, patch, str(log), str(order)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "COV"))}
    environment |= {"GREENSCOPE_DIR": directory, "GREENSCOPE_RING_MB": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTHONWARNINGS", None)
    with output.open("wb") as file:
        process = subprocess.Popen(
            command,
            cwd=work,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
        try:
            return f"status {process.wait(left)}"
        except subprocess.TimeoutExpired:
            return "timeout"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # and what the cases left behind
            process.wait()


def _read(log: Path, run: Run) -> tuple[str | None, bool]:
    unfinished = None
    finished = False
    for text in log.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        if "begin" in line:
            unfinished = line["begin"]
        elif "end" in line:
            case = line["end"]
            if case == unfinished:
                unfinished = None
            run.outcomes[case] = line["outcome"]
            run.details[case] = line["detail"]
            run.seconds[case] = line["seconds"]
        else:
            finished = True
    return unfinished, finished


def _tail(output: Path) -> str:
    return output.read_text(encoding="utf-8", errors="replace")[-6000:]


def differences(plain: Run, patched: Run) -> dict[str, tuple[str, str]]:
    """The cases that ended otherwise than unpatched: ``(unpatched, patched)``."""
    return {
        case: (plain.outcomes.get(case, "absent"), patched.outcomes.get(case, "absent"))
        for case in sorted({*plain.outcomes, *patched.outcomes})
        if plain.outcomes.get(case, "absent") != patched.outcomes.get(case, "absent")
    }


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", default=FILES, metavar="FILE")
    parser.add_argument("--with", dest="patch", choices=("greenscope", "gevent", "both"), default="greenscope")
    parser.add_argument("--case-seconds", type=float, default=CASE_SECONDS)
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    patches = ("greenscope", "gevent") if options.patch == "both" else (options.patch,)
    total = dict.fromkeys(patches, 0)
    print(f"Python {sys.version.split()[0]}: cases that end otherwise than unpatched, of how many")
    print(f"{'':22}{'cases':>7}" + "".join(f"{patch:>12}" for patch in patches))
    with ThreadPoolExecutor(2) as pool:
        runs = {
            (name, patch): pool.submit(run_file, name, patch, options.case_seconds)
            for name in options.files
            for patch in ("none", *patches)
        }
        for name in options.files:
            plain = runs[name, "none"].result()
            found = {patch: differences(plain, runs[name, patch].result()) for patch in patches}
            for patch in patches:
                total[patch] += len(found[patch])
            took = ", ".join(f"{patch} {runs[name, patch].result().took:.0f} s" for patch in ("none", *patches))
            line = f"{name:22}{len(plain.outcomes):7}" + "".join(f"{len(found[patch]):12}" for patch in patches)
            print(f"{line}   ({took})", flush=True)
            if options.verbose:
                for patch in patches:
                    for case, (before, after) in found[patch].items():
                        short = runs[name, patch].result().short(case)
                        print(f"    {patch}: {case}: {before} → {after}: {short}", flush=True)
    print(f"{'in all':29}" + "".join(f"{total[patch]:12}" for patch in patches))


if __name__ == "__main__":
    main()
