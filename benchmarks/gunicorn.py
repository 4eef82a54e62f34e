"""CPU time of a request to a gunicorn worker: on greenscope, untraced and traced, and on gevent (``-k gevent``).

    python -m benchmarks.gunicorn             a GET and a POST of 1 KB at 50 connections, a minute and a half
    python -m benchmarks.gunicorn --rounds 1 --seconds 1 --only GET

What is counted is the processor time of the one worker, user and system, over the measured requests only, and
not the arbiter's. Everything is gunicorn's own in all three (parser, response, no access log), so the difference
is the runtime's and the recording's. Method, client and the order of turns are those of ``benchmarks.http``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from benchmarks.http import REQUESTS, load, run
from benchmarks.servers import ROOT, SERVERS, cpu_seconds, print_table, processors

WORKERS = {"greenscope": "greenscope.integrations.gunicorn.GreenscopeWorker", "gevent": "gevent"}
READY_SECONDS = 60


def ready(arbiter: subprocess.Popen[bytes], log: Path) -> tuple[str, int]:
    """The port of a gunicorn that has begun, and the pid of its worker."""
    children = Path(f"/proc/{arbiter.pid}/task/{arbiter.pid}/children")
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        said = log.read_text() if log.exists() else ""
        if arbiter.poll() is not None:
            raise SystemExit(f"gunicorn: it ended with {arbiter.returncode}:\n{said}")
        port = re.search(r"Listening at: http://127.0.0.1:(\d+)", said)
        worker = children.read_text().split()
        if port is not None and worker:
            return port[1], int(worker[0])
        time.sleep(0.02)
    raise SystemExit(f"gunicorn: it was not ready in {READY_SECONDS} s:\n{log.read_text()}")


def measure(name: str, script: Path, connections: int, seconds: int) -> tuple[float, float]:
    """Microseconds of CPU a request, and requests a second, of one fresh worker."""
    kind, environment = SERVERS[name]
    server_cpu, client_cpu = processors()
    bind = partial(os.sched_setaffinity, 0, {server_cpu}) if server_cpu >= 0 else None
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory, "log")
        command = [sys.executable, "-m", "gunicorn", "-k", WORKERS[kind], "-b", "127.0.0.1:0", "--log-file", str(log)]
        command += ["--worker-connections", "1000", "benchmarks.http:application"]
        traces = {"GREENSCOPE_DIR": f"{directory}/traces", "HOME": directory, "XDG_RUNTIME_DIR": ""}
        environment = {**os.environ, **traces, **environment}
        arbiter = subprocess.Popen(command, cwd=ROOT, env=environment, preexec_fn=bind)  # noqa: PLW1509  (no threads)
        try:
            port, worker = ready(arbiter, log)
            load(port, script, connections, 1, client_cpu)
            before = cpu_seconds(worker)
            requests, took = load(port, script, connections, seconds, client_cpu)
            used = cpu_seconds(worker) - before
        finally:
            arbiter.terminate()
            arbiter.wait()
    return used / requests * 1e6, requests / took


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gunicorn", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="a measurement")
    parser.add_argument("--connections", type=int, nargs="+", default=[50])
    parser.add_argument("--only", nargs="+", choices=REQUESTS, default=list(REQUESTS), metavar="REQUEST")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        parser.error("the client is wrk: apt-get install wrk")
    if sys.platform != "linux":
        parser.error("the processor time of another process is read as Linux has it")
    results = run(options, SERVERS, measure)
    if options.json:
        print(json.dumps({"python": sys.version.split()[0], "results": results}, indent=2))
        return
    print(
        f"CPU microseconds a request of a gunicorn worker (median of {options.rounds} rounds of {options.seconds} "
        f"seconds), Python {sys.version.split()[0]}"
    )
    print_table({"request": "<8", "connections": ">11"}, results)


if __name__ == "__main__":
    main()
