"""A benchmark that nobody runs stops working; each runs here once, far too briefly to mean anything."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def run(*arguments: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-m", *arguments, "--json"], check=False, capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="its client uses epoll")
def test_the_echo_benchmark_serves_and_checks_every_request():
    pytest.importorskip("gevent")
    rows = run("benchmarks.echo", "--rounds", "1", "--requests", "200", "--connections", "1", "20")["results"]
    assert len(rows) == 2 * 4
    assert all(row["cpu_us_per_request"] > 0 and row["ratio_to_gevent"] > 0 for row in rows)


@pytest.mark.skipif(sys.platform != "linux", reason="it reads another process's clock as Linux has it")
@pytest.mark.skipif(shutil.which("wrk") is None, reason="its client is wrk")
def test_the_http_benchmark_serves_every_request():
    pytest.importorskip("gevent")
    rows = run("benchmarks.http", "--rounds", "1", "--seconds", "1", "--connections", "2", "--only", "POST")["results"]
    assert [row["server"] for row in rows] == ["greenscope, untraced", "greenscope, traced", "gevent"]
    assert all(row["cpu_us_per_request"] > 0 and row["ratio_to_gevent"] > 0 for row in rows)


@pytest.mark.skipif(sys.platform != "linux", reason="it reads another process's clock as Linux has it")
@pytest.mark.skipif(shutil.which("wrk") is None, reason="its client is wrk")
def test_the_gunicorn_benchmark_serves_every_request():
    pytest.importorskip("gevent")
    pytest.importorskip("gunicorn")
    rows = run("benchmarks.gunicorn", "--rounds", "1", "--seconds", "1", "--connections", "2", "--only", "POST")[
        "results"
    ]
    assert [row["server"] for row in rows] == ["greenscope, untraced", "greenscope, traced", "gevent"]
    assert all(row["cpu_us_per_request"] > 0 and row["ratio_to_gevent"] > 0 for row in rows)


@pytest.mark.skipif(sys.platform != "linux", reason="its clients use epoll")
@pytest.mark.skipif(not all(map(shutil.which, ("redis-server", "wrk"))), reason="the page needs redis-server and wrk")
def test_the_tracing_benchmark_compares_what_is_recorded_with_what_is_not():
    pytest.importorskip("redis")
    rows = run(
        "benchmarks.tracing", *["--pairs", "2", "--turns", "2", "--requests", "200", "--connections", "5", "--fresh"]
    )["results"]
    assert [(row["work"], row["connections"]) for row in rows] == [("echo", 5), ("page", 5)]
    assert all(row["ratio"] > 0 and row["traced_us"] > 0 and row["untraced_us"] > 0 for row in rows)


def test_the_benchmark_of_following_gevent_serves_alone_followed_and_under_viztracer():
    options = ["--sets", "1", "--turns", "1", "--requests", "200", "--connections", "5", "--fresh"]
    rows = run("benchmarks.gevent_attach", *options)["results"]
    assert [row["server"] for row in rows] == ["gevent", "greenscope", "viztracer"]
    assert all(row["cpu_us"] > 0 for row in rows)


def test_the_primitives_benchmark_measures_every_runtime():
    pytest.importorskip("gevent")
    rows = run("benchmarks.primitives", "--rounds", "1", "--number", "100", "--only", "sleep(0)", "spawn, join")[
        "results"
    ]
    assert {(row["work"], row["runtime"]) for row in rows} == {
        (work, runtime)
        for work in ("sleep(0)", "spawn, join")
        for runtime in ("greenscope, untraced", "greenscope, traced", "gevent")
    }


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_the_connections_benchmark_uses_every_connection_and_leaves_nothing():
    pytest.importorskip("gevent")
    rows = run("benchmarks.connections", "--connections", "100")["results"]
    assert [row["server"] for row in rows] == ["greenscope, untraced", "greenscope, traced", "gevent"]
    for row in rows:
        # A greenlet and a descriptor each; and none of them afterwards.
        assert (row["connections"], row["greenlets"], row["descriptors"]) == (100, 100, 100)
        assert row["descriptors_left"] <= 0 and row["greenlets_left"] <= 0
        assert row["pss_bytes_per_connection"] > 0


def test_the_benchmark_of_profiles_sums_up_both_rings():
    rows = run("benchmarks.profiles", "--millions", "0.2", "--by", "none", "waker")["results"]
    assert [row["by"] for row in rows] == ["none", "waker", "none", "waker"]
    assert all(row["events"] >= 200_000 and row["cpu"] > 0 for row in rows)
    assert [row["rows"] > 0 for row in rows] == [False, True, False, True]


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_the_replay_benchmark_steps_through_a_hundred_thousand_steps():
    (row,) = run("benchmarks.replay", "--walks", "1", "--only", "teach, 100 greenlets")["results"]
    assert row["steps"] >= 100_000
    assert all(row[key] > 0 for key in row if key.endswith("_ms") or key.startswith("mib"))


def test_the_ring_benchmark_times_every_writer():
    said = run("benchmarks.ring_write", "--number", "200", "--repeats", "1")
    columns = said["nanoseconds"]
    assert set(said["event_to_clock_call"]) == set(columns["Python"])
    assert {"Python", "off"} <= set(columns)
    assert all(nanoseconds > 0 for column in columns.values() for nanoseconds in column.values())


def test_the_benchmark_of_many_rings_lists_and_opens_them():
    said = run("benchmarks.rings", "--rings", "20", "--rounds", "1")
    assert said["rings"] == 20
    assert set(said["milliseconds"]) == {"list", "open a ring", "open a ring, and prune"}


def test_the_diagnose_benchmark_sees_a_finding_and_diagnoses_a_ring():
    found = run("benchmarks.diagnose", "--only", "hub-blocked", "--millions", "0.2", "--rounds", "1")
    assert {row["program"] for row in found["programs"]} == {"hub_blocked_plain", "hub_blocked_hidden"}
    assert found["many"]["events"] > 180_000


def test_the_middleware_benchmark_calls_each_way():
    rows = run("benchmarks.middleware", "--rounds", "1", "--requests", "20")["results"]
    assert len(rows) == 2 * 2 * 3
    assert all(row["us"] > 0 for row in rows)
