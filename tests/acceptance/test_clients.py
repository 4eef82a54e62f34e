"""Real clients, unmodified, under ``patch_all``, against real daemons: nothing is lost, and the trace is right.

Each program in ``clients/`` is written with threads and blocking calls, 200 at once, and runs green in a
process of its own. That its work is interleaved is seen without a clock: the other end answers nobody until
all of them are there. Then its ring is read: the waits have to be for the daemon's descriptors, and be the
library's or the program's own, not the runtime's.
"""

from __future__ import annotations

import concurrent.futures.thread
import http.client
import json
import queue
import re
import selectors
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import greenscope
from tests.acceptance import daemons
from tests.acceptance.programs import PROGRAMS, Serving, run, serving
from tests.acceptance.recorded import Park

SIZE = 200
# Whose lines say nothing to the person who looks for a wait.
PLUMBING = (
    str(Path(greenscope.__file__).parent / "runtime"),
    *(module.__file__ for module in (concurrent.futures.thread, http.client, queue, selectors, socket, ssl, threading)),
)


def check_waits(parks: list[Park], address: str, reasons: set[str], greenlets: int) -> None:
    """There are waits for an address, by many greenlets, on the descriptors that are connected to it."""
    there = [park for park in parks if park.peer == address]
    assert {park.reason for park in there} >= reasons
    assert len({park.greenlet for park in there}) >= greenlets
    check_all(parks)


def check_all(parks: list[Park], server: bool = False) -> None:
    """Whatever they wait for: the right descriptor, and somebody's line of code, if a server of ours is not alone."""
    assert [park for park in parks if park.fd < 0 or park.fd != park.watched] == []
    assert [park for park in parks if not (park.file or server) or park.file.startswith(PLUMBING)] == []


# Redis.


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[daemons.Daemon]:
    daemons.need_module("redis")
    with daemons.redis_server(tmp_path) as daemon:
        yield daemon


def test_redis_commands_pipelines_blocking_pops_subscriptions_and_a_server_that_goes(redis):
    ended = run("redis_client.py", redis.host, redis.port, redis.path)
    descriptors = set(ended.facts.pop("descriptors"))
    assert ended.facts == {
        "right": 20 * SIZE,
        "counter": 20 * SIZE,
        "pipelined": SIZE,
        "lists": {"True": SIZE},
        "most_blocked": SIZE,  # as the server counted
        "popped": True,
        "nothing": {"None": SIZE},
        "heard": {"True": 100},
        "timeout": "TimeoutError",
        "unix": 50,
        "gone": {"ConnectionError": SIZE},
    }
    check_waits(ended.parks, redis.path, {"READ", "WRITE"}, 25)
    check_waits(ended.parks, redis.address, {"READ", "WRITE"}, SIZE)
    assert {park.fd for park in ended.parks_at(redis.address)} >= descriptors and len(descriptors) > 100


# PostgreSQL.


@pytest.fixture(scope="module")
def postgres() -> Iterator[daemons.Daemon]:
    with daemons.postgres() as daemon:
        yield daemon


@pytest.mark.parametrize("driver", ["pg8000", "psycopg"])
def test_transactions_in_PostgreSQL(driver, postgres, monkeypatch):
    daemons.need_module(driver)
    monkeypatch.setenv("PSYCOPG_IMPL", "python")  # whose waiting is Python's, and so can be patched
    ended = run("postgres_client.py", driver, postgres.host, postgres.port)
    assert ended.facts == {
        "most_waiting": SIZE,  # for one lock, as the server counted
        "right": 3 * SIZE,
        "money": 51 * 100,
        "notes": 3 * SIZE,
        "canceled": {"canceled": 50},
        "thrown_out": {"thrown out": 50},
    }
    if driver == "pg8000":
        check_waits(ended.parks, postgres.address, {"READ", "WRITE"}, SIZE)
        return
    # psycopg's sockets are libpq's: it polls their descriptors.
    check_all(ended.parks)
    polled = [park for park in ended.parks if park.peer.endswith(f" {postgres.address}")]
    assert len({park.greenlet for park in polled}) >= SIZE
    for park in polled:
        how, _, number, _ = park.peer.split()
        assert number in {f"r{park.fd}", f"w{park.fd}", f"rw{park.fd}"} if how == "poll" else how == "epoll"


# HTTP.


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """A certificate of ``certificate``'s issuer."""
    daemons.need_module("trustme")
    import trustme

    issuer = trustme.CA(key_type=trustme.KeyType.ECDSA)
    issued = issuer.issue_cert("127.0.0.1", key_type=trustme.KeyType.ECDSA)
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    issuer.cert_pem.write_to_path(tmp_path / "authority.pem")
    return tmp_path / "authority.pem"


def test_requests_over_HTTP_and_HTTPS(authority):
    daemons.need_module("requests")
    with serving("http_server.py", authority.with_name("server.pem")) as server:
        plain, tls = (f"127.0.0.1:{port}" for port in server.facts["ports"])
        ended = run("requests_client.py", f"http://{plain}", f"https://{tls}", authority)
    assert ended.facts == {
        "http": 6 * SIZE,
        "http_timeouts": {"ReadTimeout": 50},
        "https": 6 * SIZE,
        "https_timeouts": {"ReadTimeout": 50},
        "stranger": "SSLError",
        "in_flight": SIZE,
    }
    for address in (plain, tls):
        check_waits(ended.parks, address, {"READ", "WRITE"}, SIZE)
    check_all(server.parks)
    assert len({park.greenlet for park in server.parks}) > 2 * SIZE  # a thread for each connection


def test_urllib3_with_a_pool_that_is_smaller_than_the_crowd(authority):
    daemons.need_module("urllib3")
    with serving("http_server.py", authority.with_name("server.pem")) as server:
        plain, tls = (f"127.0.0.1:{port}" for port in server.facts["ports"])
        ended = run("urllib3_client.py", f"http://{plain}", f"https://{tls}", authority)
    for name, address in (("http", plain), ("https", tls)):
        facts = ended.facts[name]
        statistics = facts.pop("statistics")
        assert facts == {
            "together": {"200": 120},
            "right": 4 * SIZE,
            "streamed": 40_000 * SIZE,
            "closed": {"byebye": SIZE},
            "slow": {"ReadTimeoutError": 50},
            "no_connection": "EmptyPoolError",
        }
        assert statistics["peak"] == 120  # the pool's limit, and all of it
        check_waits(ended.parks, address, {"READ", "WRITE"}, SIZE)
    assert statistics["served"] == 2 * (120 + (4 + 1 + 2) * SIZE) + 1
    check_all(server.parks)


# Flask, under the WSGI server.


@pytest.fixture
def flask() -> Iterator[Serving]:
    daemons.need_module("flask")
    with serving("flask_server.py") as server:
        yield server


def test_Flask_answers_a_crowd_of_clients(flask):
    daemons.need_module("requests")
    address = f"127.0.0.1:{flask.facts['port']}"
    ended = run("flask_client.py", f"http://{address}")
    assert ended.facts == {"right": {"True": SIZE}, "served": 0, "peak": SIZE}
    check_waits(ended.parks, address, {"READ", "WRITE"}, SIZE)


def test_Flask_under_wrk_loses_no_response():
    daemons.need_module("flask")
    wrk = daemons.need_program("wrk", "wrk")
    with serving("flask_server.py") as server:
        base = f"http://127.0.0.1:{server.facts['port']}"

        def ask(what: str) -> dict[str, int]:
            with urllib.request.urlopen(f"{base}/served/{what}", timeout=30) as response:
                return dict(json.load(response))

        command = [wrk, "-t1", f"-c{SIZE}", "-d60s", "--timeout", "20s", f"{base}/world?asked=much"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as load:
            try:
                while ask("connections")["answered"] < SIZE and load.poll() is None:
                    time.sleep(0.1)
                # It may ask again before the server looks, so that nobody has to wait; until it stands still.
                load.send_signal(signal.SIGSTOP)
                while ask("connections")["inside"]:
                    time.sleep(0.1)
                ask("connections")
                before = ask("statistics")["served"]
                load.send_signal(signal.SIGCONT)
                while ask("statistics")["served"] == before:  # else a thread of it that does not end it may get this
                    time.sleep(0.1)
                time.sleep(0.1)
                load.send_signal(signal.SIGINT)  # it says what it would have said at the end
                said = load.communicate(timeout=60)[0]
            finally:
                load.kill()
        statistics = ask("statistics")
    found = re.search(r"(\d+) requests in", said)
    assert found and "Socket errors" not in said and "Non-2xx" not in said, said
    # What it had asked for last was not waited for any more.
    assert 0 < int(found[1]) <= statistics["served"] <= int(found[1]) + SIZE
    assert statistics["peak"] > SIZE // 2
    check_all(server.parks, server=True)
    assert len({park.greenlet for park in server.parks if park.peer.startswith("127.0.0.1:")}) >= SIZE


# Strangers.


def test_dnspython_over_UDP_and_TCP():
    daemons.need_module("dns")
    with serving("dns_server.py") as server:
        address = f"127.0.0.1:{server.facts['port']}"
        ended = run("dns_client.py", "127.0.0.1", server.facts["port"])
    assert ended.facts == {"right": 5 * SIZE, "tcp": SIZE, "late": {"Timeout": 50}, "peak": SIZE}
    check_all(ended.parks)
    check_all(server.parks)
    # It waits with a selector for each query; of UDP's sockets, which are not connected, the peer is unknown.
    streams = [park for park in ended.parks if park.peer.endswith(f" {address}")]
    datagrams = [park for park in ended.parks if re.fullmatch(r"epoll of r\d+|poll of r\d+", park.peer)]
    for parks in (streams, datagrams):
        assert len({park.greenlet for park in parks}) > SIZE // 2
        assert {Path(park.file).name for park in parks} == {"query.py"}


def test_paramiko_as_client_and_server():
    daemons.need_module("paramiko")
    with serving("ssh_server.py") as server:
        address = f"127.0.0.1:{server.facts['port']}"
        ended = run("ssh_client.py", "127.0.0.1", server.facts["port"], server.facts["key"])
    assert ended.facts == {"results": {"(True, True, 3)": SIZE}, "refused": True}
    check_waits(ended.parks, address, {"READ", "WRITE"}, 8)
    check_all(server.parks)
    assert len({park.peer for park in server.parks if park.peer.startswith("127.0.0.1:")}) == 9


# A program that was written for gevent.


def test_a_program_written_for_gevent_does_the_same_with_its_imports_changed(tmp_path):
    daemons.need_module("gevent")
    program = PROGRAMS / "gevent_program.py"
    with_gevent = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=60, check=True)
    source = program.read_text(encoding="utf-8")
    source = re.sub(r"^import gevent$", "import greenscope.runtime as gevent", source, flags=re.MULTILINE)
    source = re.sub(r"^from gevent\b", "from greenscope.runtime", source, flags=re.MULTILINE)
    ported = tmp_path / "ported.py"
    ported.write_text(source, encoding="utf-8")
    ended = run(ported, green=())
    assert ended.facts == json.loads(with_gevent.stdout)
    assert ended.facts == {
        "crawl": {"pages": 1000, "twice": 0, "crowded": True},
        "work": {"right": 10 * SIZE, "done": 10 * SIZE, "at_once": 20, "maps": True},
        "time_out": {"late": SIZE, "early": 0, "dead": True},
        "chat": {"listeners": SIZE, "lines": True},
    }
    check_all(ended.parks, server=True)
    assert {park.function for park in ended.parks if park.file == str(ported)} >= {
        "crawl.<locals>.visit",
        "chat.<locals>.handle",
        "chat.<locals>.client",
    }
