"""What a monitoring system scrapes, of processes that are really traced, read back as Prometheus reads it."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as prometheus
from prometheus_client.samples import Sample

from greenscope.trace.analysis.diagnoses import DIAGNOSES
from greenscope.web.metrics import program_of
from tests.waiting import until
from tests.web.conftest import Viewer

SERVES = """
import sys, time
from greenscope.runtime import sleep, spawn
from greenscope.runtime.event import Event
from greenscope.trace import request

def serve(status):
    with request(what=f"GET /{status}") as served:
        sleep(0.02)
        served.status = status

event = Event()
waiters = [spawn(event.wait) for _ in range(3)]
for status in (200, 200, 200, 404, 70000 % 65536):
    spawn(serve, status).join()
goes_on = request(what="GET /slow").begin()
time.sleep(0.3)  # the hub is blocked
sleep(0)
print("served", flush=True)
while not event.wait(0.05):
    pass
"""


PAGE = (Path(__file__).resolve().parent.parent.parent / "docs" / "metrics.md").read_text()


def test_the_page_has_every_metric_and_no_other(viewer: Viewer) -> None:
    text = httpx.get(f"{viewer.url}/metrics").text
    documented = re.findall(r"^\| `(greenscope_\w+)` \| (\w+) \|", PAGE, re.MULTILINE)
    assert documented
    assert dict(documented) == dict(re.findall(r"^# TYPE (\S+) (\w+)$", text, re.MULTILINE))
    assert set(re.findall(r"id=~\"(.*)\"", PAGE)[0].split("|")) <= {each.id for each in DIAGNOSES}


def samples(viewer: Viewer) -> dict[tuple[str, str], list[Sample]]:
    """By the sample's name and the process's number."""
    found: dict[tuple[str, str], list[Sample]] = {}
    answer = httpx.get(f"{viewer.url}/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    for family in prometheus(answer.text):
        assert family.name.startswith("greenscope_")
        assert family.documentation
        for sample in family.samples:
            found.setdefault((sample.name, sample.labels["pid"]), []).append(sample)
    return found


@contextlib.contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A program that has said that it is where it should be; killed in the end."""
    with subprocess.Popen([sys.executable, *arguments], stdin=-1, stdout=-1, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline()
            yield child
        finally:
            child.kill()


@pytest.mark.usefixtures("default_stalls")
def test_a_process_has_its_series_while_it_lives(viewer: Viewer) -> None:
    assert httpx.get(f"{viewer.url}/metrics").status_code == 200  # nobody is there yet
    with running("-X", "utf8", "-c", SERVES) as child:
        pid = str(child.pid)

        def value(name: str, **labels: str) -> float:
            named = samples(viewer).get((f"greenscope_{name}", pid), [])
            matching = [each.value for each in named if labels.items() <= each.labels.items()]
            return sum(matching) if matching else -1.0

        until(lambda: value("requests_total") == 5)
        assert [value("requests_total", status=status) for status in ("200", "404", "none", "500")] == [3, 1, 1, -1]
        assert value("requests_going_on") == 1
        assert value("request_duration_seconds_count") == 5
        assert value("request_duration_seconds_sum") >= 5 * 0.02
        assert value("request_duration_seconds_bucket", le="0.01") == 0
        assert value("request_duration_seconds_bucket", le="+Inf") == 5
        until(lambda: value("greenlets", state="event") >= 3)
        until(lambda: value("stalls_total") >= 1)
        until(lambda: value("findings", id="blocking-call") == 1)
        until(lambda: value("findings_going_on", id="blocking-call") <= 0)
        assert value("events_lost_total") == 0
        assert value("hub_busy_seconds_total") >= 0.3
        assert 0 <= value("hub_load_ratio") <= 1
        before = value("hub_polled_seconds_total"), value("switches_total"), value("events_total")
        until(lambda: all(now > then for now, then in zip(
            (value("hub_polled_seconds_total"), value("switches_total"), value("events_total")), before, strict=True
        )))  # fmt: skip

        scraped = samples(viewer)
        counts = [each.value for each in scraped["greenscope_scheduling_latency_seconds_bucket", pid]]
        assert counts == sorted(counts)
        assert counts[-1] == scraped["greenscope_scheduling_latency_seconds_count", pid][0].value > 0
        for of in samples(viewer).values():
            assert all((each.labels["hub"], each.labels["program"]) == ("1", "-c") for each in of)

        other = httpx.get(f"{viewer.url}/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
        assert {family.name for family in open_metrics(other.text)} >= {"greenscope_requests", "greenscope_greenlets"}

    until(lambda: not any(number == pid for _, number in samples(viewer)))


def test_what_a_hub_does_at_the_moment_is_in_its_time(viewer: Viewer) -> None:
    with running("-c", BLOCKED) as child:
        until(lambda: ("greenscope_hub_busy_seconds_total", str(child.pid)) in samples(viewer))

        def busy() -> float:
            return samples(viewer)["greenscope_hub_busy_seconds_total", str(child.pid)][0].value

        before = busy()
        until(lambda: busy() > before)  # no event says so


BLOCKED = """
import sys
from greenscope.runtime import sleep
sleep(0.01)
print("blocks", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("argv", "program"),
    [
        (["/usr/bin/python3", "/srv/shop/app.py", "--port", "1"], "app.py"),
        (["python", "-m", "gunicorn", "app:app"], "gunicorn"),
        (["python", "-X", "dev", "-Wd", "-u", "app.py"], "app.py"),
        (["python", "-c", "print()"], "-c"),
        (["python"], "python"),
        ([], ""),
        (["python", "-m"], "python"),
        (["python", "x" * 300], "x" * 80),
    ],
)
def test_a_program_is_named_by_what_it_runs(argv: list[str], program: str) -> None:
    assert program_of(argv) == program
