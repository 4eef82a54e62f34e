"""Which runs were waits in the kernel, and what is said of them: by what the kernel said, and by the frames."""

from __future__ import annotations

import pytest

from greenscope.trace.analysis.diagnoses import Finding, diagnose
from greenscope.trace.analysis.model import Model
from greenscope.trace.events import Blocked, Kind, Spawn, Wait
from greenscope.trace.records import Event, Site
from tests.trace.analysis.batches import batch

MS = 1_000_000
LIBRARY = "/usr/lib/python3.11"
APP = "/srv/app.py\t12\tserve"


class Numbers:
    """Site 7 is a line; no other is known."""

    def __init__(self, hub: str = "hub") -> None:
        self._names = {1: hub, 2: "serve"}

    def string(self, number: int) -> str:
        return self._names.get(number, "")

    def site(self, number: int) -> Site | None:
        return Site("/srv/app.py", 40, "serve") if number == 7 else None

    def stack(self, number: int) -> list[Site]:
        site = self.site(number)
        return [site] if site is not None else []


def found(*runs: tuple[int, int, str], hub: str = "hub") -> list[Finding]:
    """What is said of runs of one greenlet: how many milliseconds each took, what was seen, and its stack."""
    events = [
        Event(0, 1, Kind.GREENLET_SPAWN, Spawn.HUB), Event(0, 1, Kind.GREENLET_NAME, arg=1),
        Event(0, 2, Kind.GREENLET_SPAWN), Event(0, 2, Kind.GREENLET_NAME, arg=2),
    ]  # fmt: skip
    now = 0
    for took, blocked, stack in runs:
        now += MS
        events.append(Event(now, 2, Kind.GREENLET_SWITCH))
        if stack:
            events.append(Event(now + 100 * MS, 2, Kind.STALL_BEGIN, blocked, arg=now, text=stack))
            events.append(Event(now + took * MS, 2, Kind.STALL_END, arg=took * MS))
        now += took * MS
        events.append(Event(now, 2, Kind.GREENLET_PARK, Wait.TIMER, site=7))
    model = Model(0, Numbers(hub))
    model.apply(batch(events))
    model.look((), now, "ended")
    return diagnose(model)


@pytest.mark.parametrize(
    ("blocked", "said"),
    [
        (Blocked.SLEEP, "in a sleep that is not green (time.sleep), at app.py:12 in serve"),
        (Blocked.RECEIVE, "in a receive from a socket"),
        (Blocked.CHILD, "in a wait for a child process"),
        (Blocked.LOCK, "in a wait for a lock"),
        (Blocked.OTHER, "in a system call"),
    ],
)
def test_a_call_in_c_is_told_by_what_the_kernel_said(blocked: Blocked, said: str) -> None:
    (finding,) = found((300, blocked, APP))
    assert finding.id == "blocking-call"
    assert finding.sentence.startswith("serve blocked the hub for 300 ms ")
    assert said in finding.sentence


@pytest.mark.parametrize("blocked", [Blocked.POLL, Blocked.RECEIVE, Blocked.CONNECT, Blocked.UNKNOWN])
def test_a_look_up_is_told_by_its_frame_whatever_it_waits_in(blocked: Blocked) -> None:
    stack = f"{LIBRARY}/socket.py\t962\tgetaddrinfo\n{LIBRARY}/socket.py\t836\tcreate_connection\n{APP}"
    (finding,) = found((300, blocked, stack))
    assert (finding.id, finding.site) == ("blocking-call", Site("/srv/app.py", 12, "serve"))
    assert "a look-up of a name (DNS) that is not green (through socket.create_connection), at" in finding.sentence


def test_what_the_program_called_of_a_package_is_named_with_its_module() -> None:
    package = "/venv/lib/python3.11/site-packages/redis"
    stack = f"{package}/connection.py\t100\tConnection.read\n{package}/client.py\t20\tRedis.get\n{APP}"
    (finding,) = found((300, Blocked.RECEIVE, stack))
    assert (
        "a receive from a socket that is not green (through redis.client.Redis.get), at app.py:12" in finding.sentence
    )


def test_what_called_the_program_is_not_what_the_program_called() -> None:
    server = "/venv/lib/python3.11/site-packages/fastapi/applications.py\t1224\tFastAPI.__call__"
    (finding,) = found((300, Blocked.SLEEP, f"{APP}\n{server}\n/srv/manage.py\t1\tmain"))
    assert "(time.sleep), at app.py:12 in serve" in finding.sentence


@pytest.mark.parametrize("blocked", [Blocked.SLEEP, Blocked.RUNNING])
def test_what_to_do_under_asyncio_is_asyncios(blocked: Blocked) -> None:
    (finding,) = found((300, blocked, APP), hub="event loop")
    assert "await asyncio.to_thread" in finding.advice
    assert "greenscope.runtime" not in finding.advice
    assert "get_hub" not in finding.advice


def test_the_debug_middleware_is_not_the_program() -> None:
    library = "/venv/lib/python3.11/site-packages/store/client.py\t100\tClient.get"
    ours = "/src/greenscope/web/middleware/wsgi.py\t71\tDebugMiddleware.__call__"
    (finding,) = found((300, Blocked.RECEIVE, f"{library}\n{ours}\n{APP}"))
    assert finding.site == Site("/srv/app.py", 12, "serve")


def test_a_programs_own_module_is_not_taken_for_the_librarys_of_that_name() -> None:
    (finding,) = found((300, Blocked.UNKNOWN, f"/srv/socket.py\t5\tgetaddrinfo\n{APP}"))
    assert finding.id == "hub-blocked"


@pytest.mark.parametrize("blocked", [Blocked.RUNNING, Blocked.GIL, Blocked.UNKNOWN, 200])
def test_who_computes_or_waits_for_the_gil_blocks_the_hub_and_is_in_no_call(blocked: int) -> None:
    (finding,) = found((300, blocked, APP))
    assert finding.id == "hub-blocked"
    assert ("the interpreter's lock, which another thread had" in finding.sentence) is (blocked == Blocked.GIL)


def test_frames_do_not_make_a_call_of_what_was_seen_to_run() -> None:
    (finding,) = found((300, Blocked.RUNNING, f"{LIBRARY}/ssl.py\t962\tSSLContext.load\n{APP}"))
    assert finding.id == "hub-blocked"


@pytest.mark.parametrize(
    ("computed", "waited", "id_"), [(150, 400, "blocking-call"), (400, 150, "hub-blocked")], ids=["waits", "computes"]
)
def test_a_line_that_waits_and_computes_is_one_finding_by_what_took_longer(
    computed: int, waited: int, id_: str
) -> None:
    (finding,) = found((computed, Blocked.RUNNING, APP), (waited, Blocked.RECEIVE, APP))
    assert (finding.id, finding.count) == (id_, 2)


def test_a_run_that_was_not_seen_is_taken_for_those_that_were_between_the_same_lines() -> None:
    (finding,) = found((110, 0, ""), (300, Blocked.SLEEP, APP), (110, 0, ""))
    assert (finding.id, finding.count) == ("blocking-call", 3)
