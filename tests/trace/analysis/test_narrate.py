"""Every kind of event in words: what is said, why, and that nothing is said that is not known."""

from __future__ import annotations

import errno
import re
from string import Formatter

import pytest

from greenscope.trace.analysis.narrate import LANGUAGES, TOLD, narrate, narrate_loss
from greenscope.trace.analysis.steps import Steps
from greenscope.trace.events import (
    EVENT_KINDS,
    NO_ERRNO,
    NO_FD,
    Blocked,
    Detail,
    Exit,
    Kind,
    Op,
    Origin,
    Ready,
    Resource,
    Spawn,
    Timeouts,
    Wait,
    Watch,
    pack,
)
from greenscope.trace.records import Event
from tests.trace.analysis.stories import HUB, MAIN, OTHER, WORKER, Names, Told, event

Story = tuple[Event, ...]
RUNS = event(Kind.GREENLET_PARK, MAIN, Wait.JOIN, aux=WORKER, site=9), event(Kind.GREENLET_SWITCH)
OPEN = event(Kind.WATCHER_OPEN, reason=Watch.READ, arg=pack(7, 5), text="10.0.0.1:80")
TIMER = event(Kind.WATCHER_START, reason=Watch.TIMER, arg=pack(9, 1500))


def waits(reason: Wait, resource: int = 0, *, aux: int = 0, site: int = 14, ms: int = 0, who: int = WORKER) -> Event:
    return event(Kind.GREENLET_PARK, who, reason, aux=aux, site=site, arg=pack(resource, ms))


def calls(op: Op, *, aux: int = 0, site: int = 14) -> Event:
    return event(Kind.OP_BEGIN, reason=op, aux=aux, site=site, arg=pack(7, 5))


def arms(watch: Watch) -> Event:
    return event(Kind.WATCHER_START, reason=watch, site=14, arg=pack(7, 5))


def ready(reason: Ready, by: int = 0) -> Event:
    return event(Kind.GREENLET_READY, reason=reason, arg=by)


READ = waits(Wait.READ, 7, aux=6)
FD = "fd 5 (10.0.0.1:80)"
HAS_TO_WAIT = ", so it switched to the hub. It will go on at this same line."
SO_IT_ARMED = f"so it armed its read watcher on {FD} and switched to the hub. It will go on at this same line."
SO_IT_ARMED_WRITE = SO_IT_ARMED.replace("read watcher", "write watcher")
FIRST = "It is first in the ready queue."
GOES_ON = f"so worker-2 is ready to go on at client.py:14. {FIRST}"
NOBODY_ELSE = "nobody else can run meanwhile."
TIMEOUT = event(Kind.TIMEOUT_START, site=13, arg=pack(8, 20))
OVER = event(Kind.TIMEOUT_FIRE, arg=8)
HELD = event(Kind.RESOURCE_ACQUIRE, MAIN, Resource.LOCK, aux=1, arg=pack(6, 0))
JOB = event(Kind.JOB_PUT, reason=1, aux=10, site=14, arg=pack(3, 5))


def takes(kind: Kind, what: Resource, left: int = 0, *, aux: int = 0) -> Event:
    return event(kind, reason=what, aux=aux, site=14, arg=pack(6, left))


def said(*cases: tuple[Story | Event, Event, str]) -> tuple[tuple[Story | Event, Event, str], ...]:
    return cases


SPAWNS = said(
    ((), event(Kind.GREENLET_SPAWN, HUB, Spawn.HUB),
     "The hub exists from here on: it runs when nobody else can, and decides who goes on."),
    ((), event(Kind.GREENLET_SPAWN, MAIN, Spawn.MAIN),
     "main is the main greenlet: it was running before there was a hub."),
    ((), event(Kind.GREENLET_SPAWN, 7, Spawn.RAW),
     "Greenlet #7 is a raw greenlet, of which the hub knows from here on."),
    ((), event(Kind.GREENLET_SPAWN, WORKER, Spawn.GREENLET, arg=MAIN, site=5),
     "main spawned worker-2 at client.py:5. It exists, and cannot run before it is ready."),
    ((), event(Kind.GREENLET_SPAWN, 7, Spawn.GREENLET),
     "Greenlet #7 was spawned. It exists, and cannot run before it is ready."),
    ((), event(Kind.GREENLET_NAME, WORKER, arg=3), "Greenlet #3 is called worker-2."),
    ((), event(Kind.GREENLET_NAME, WORKER, arg=5, aux=1), "worker-2 is called resize #3 from here on."),
)  # fmt: skip

PARKS = said(
    ((*RUNS, OPEN, calls(Op.RECV), arms(Watch.READ)), READ,
     f"worker-2 called recv() at client.py:14. The kernel had no data yet (EWOULDBLOCK), {SO_IT_ARMED}"),
    ((*RUNS, OPEN, calls(Op.RECV)), waits(Wait.READ, 7, aux=6, ms=20),
     ("worker-2 called recv() at client.py:14. The kernel had no data yet (EWOULDBLOCK), so it armed its read watcher"
     f" on {FD} and switched to the hub. It will go on at this same line, or have its timeout raised there in 20 ms.")),
    ((*RUNS, OPEN, calls(Op.ACCEPT, site=0)), READ,
     f"worker-2 called accept() at client.py:14. Nobody had connected yet (EWOULDBLOCK), {SO_IT_ARMED}"),
    ((*RUNS, OPEN, calls(Op.CONNECT)), waits(Wait.WRITE, 7, aux=6),
     f"worker-2 called connect() at client.py:14. The peer had not answered yet (EINPROGRESS), {SO_IT_ARMED_WRITE}"),
    ((*RUNS, OPEN, calls(Op.SENDALL)), waits(Wait.WRITE, 7, aux=6),
     f"worker-2 called sendall() at client.py:14. The kernel's buffer was full (EWOULDBLOCK), {SO_IT_ARMED_WRITE}"),
    ((*RUNS, OPEN, calls(Op.SENDALL), waits(Wait.WRITE, 7, aux=6), ready(Ready.WATCHER, 7), RUNS[1]),
     waits(Wait.WRITE, 7, aux=6),
     (f"The sendall() of worker-2 at client.py:14 is not done yet. The kernel's buffer was full (EWOULDBLOCK),"
     f" {SO_IT_ARMED_WRITE}")),
    ((*RUNS, OPEN, calls(Op.RECV, aux=1)), READ,
     f"worker-2 called recv() at client.py:14. TLS needs more from the peer, {SO_IT_ARMED}"),
    ((*RUNS, OPEN, calls(Op.HANDSHAKE)), waits(Wait.WRITE, 7, aux=6),
     f"worker-2 called do_handshake() at client.py:14. TLS has to send first, {SO_IT_ARMED_WRITE}"),
    ((*RUNS, OPEN, calls(Op.OTHER)), READ,
     f"worker-2 called call() at client.py:14. That would have blocked, {SO_IT_ARMED}"),
    ((*RUNS, OPEN, calls(Op.OTHER)), waits(Wait.WRITE, 7, aux=6),
     f"worker-2 called call() at client.py:14. That would have blocked, {SO_IT_ARMED_WRITE}"),
    ((*RUNS, calls(Op.CONNECT)), waits(Wait.LOOKUP),
     f"worker-2 called connect() at client.py:14. It has to wait for a name to be looked up{HAS_TO_WAIT}"),
    ((*RUNS, OPEN), READ, f"worker-2 has to wait to read from {FD} at client.py:14{HAS_TO_WAIT}"),
    (RUNS, waits(Wait.READ, 7, aux=6), f"worker-2 has to wait to read from fd 5 at client.py:14{HAS_TO_WAIT}"),
    ((*RUNS, OPEN), waits(Wait.WRITE, 7, aux=0xFFFF),
     f"worker-2 has to wait to write to {FD} at client.py:14{HAS_TO_WAIT}"),
    (RUNS, waits(Wait.READ, 7, aux=0xFFFF),
     f"worker-2 has to wait to read from its descriptor at client.py:14{HAS_TO_WAIT}"),
    ((*RUNS, TIMER), waits(Wait.TIMER, 9), f"worker-2 has to wait for its timer of 1.5 s at client.py:14{HAS_TO_WAIT}"),
    (RUNS, waits(Wait.TIMER, 9, site=0), "worker-2 has to wait for its timer, so it switched to the hub."),
    (RUNS, waits(Wait.TIMER, 9, site=0, ms=61_000),
     "worker-2 has to wait for its timer, so it switched to the hub. Its timeout will be raised in it in 1:01 min."),
    ((*RUNS, HELD), waits(Wait.LOCK, 6),
     f"worker-2 has to wait for lock 6 (held by main) at client.py:14{HAS_TO_WAIT}"),
    (RUNS, waits(Wait.LOCK, 6, aux=MAIN),
     f"worker-2 has to wait for lock 6 (held by main) at client.py:14{HAS_TO_WAIT}"),
    (RUNS, waits(Wait.LOCK, 6), f"worker-2 has to wait for lock 6 at client.py:14{HAS_TO_WAIT}"),
    (RUNS, waits(Wait.QUEUE, 6), f"worker-2 has to wait for queue 6 at client.py:14{HAS_TO_WAIT}"),
    (RUNS, waits(Wait.EVENT, 6), f"worker-2 has to wait for event 6 at client.py:14{HAS_TO_WAIT}"),
    (RUNS, waits(Wait.JOIN, 6, aux=OTHER),
     f"worker-2 has to wait for the end of worker-1 at client.py:14{HAS_TO_WAIT}"),
    (RUNS, waits(Wait.JOIN, aux=OTHER),
     f"worker-2 has to wait for the end of worker-1 and others at client.py:14{HAS_TO_WAIT}"),
    (RUNS, waits(Wait.JOIN, aux=0xFFFF),
     f"worker-2 has to wait for others to end at client.py:14{HAS_TO_WAIT}"),
    (RUNS, waits(Wait.YIELD), ("worker-2 gave way at client.py:14: it switched to the hub, to let everybody run who is"
     " ready. It will go on at this same line.")),
    (RUNS, waits(Wait.THREAD), f"worker-2 has to wait for a thread at client.py:14{HAS_TO_WAIT}"),
    (RUNS, waits(Wait.CHILD), f"worker-2 has to wait for a child process at client.py:14{HAS_TO_WAIT}"),
    (RUNS, waits(Wait.SIGNAL), f"worker-2 has to wait for a signal at client.py:14{HAS_TO_WAIT}"),
    (RUNS, waits(Wait.LOOKUP), f"worker-2 has to wait for a name to be looked up at client.py:14{HAS_TO_WAIT}"),
    (RUNS, waits(Wait.OTHER), f"worker-2 has to wait for something that was not recorded at client.py:14{HAS_TO_WAIT}"),
)  # fmt: skip

READIES = said(
    ((), event(Kind.GREENLET_READY, OTHER, Ready.SPAWN, arg=MAIN),
     "main started worker-1, so it is ready. One greenlet is ahead of it in the ready queue."),
    (event(Kind.GREENLET_READY, OTHER, Ready.SPAWN), event(Kind.GREENLET_READY, 7, Ready.SPAWN),
     "Greenlet #7 was started, so it is ready. 2 greenlets are ahead of it in the ready queue."),
    ((), ready(Ready.KILL, MAIN),
     ("main killed worker-2, so it is ready: the exception will be raised in it. It was ready"
     " already, and keeps its place in the ready queue.")),
    ((*RUNS, OPEN, READ), ready(Ready.WATCHER, 7), f"{FD} can be read, {GOES_ON}"),
    ((*RUNS, event(Kind.WATCHER_OPEN, reason=Watch.WRITE, arg=pack(7, 5)), waits(Wait.WRITE, 7, aux=6)),
     ready(Ready.WATCHER, 7), f"fd 5 can be written to, {GOES_ON}"),
    ((*RUNS, TIMER, waits(Wait.TIMER, 9)), ready(Ready.WATCHER, 9),
     f"The timer of worker-2 is due, so it is ready to go on at client.py:14. {FIRST}"),
    ((*RUNS, arms(Watch.SIGNAL), waits(Wait.SIGNAL, 7)), ready(Ready.WATCHER, 7),
     f"The signal that worker-2 waited for came, so it is ready to go on at client.py:14. {FIRST}"),
    ((*RUNS, arms(Watch.CHILD), waits(Wait.CHILD, 7)), ready(Ready.WATCHER, 7),
     f"The child process that worker-2 waited for ended, so it is ready to go on at client.py:14. {FIRST}"),
    ((*RUNS, waits(Wait.READ, 7, site=0)), ready(Ready.WATCHER, 7),
     f"The watcher of worker-2 fired, so it is ready. {FIRST}"),
    ((*RUNS, TIMEOUT, READ, OVER), ready(Ready.TIMEOUT, 8),
     (f"The timeout of 20 ms of worker-2 is over, so it is ready: the timeout will be raised in it at"
     f" client.py:14. {FIRST}")),
    ((*RUNS, READ), ready(Ready.TIMEOUT, 8),
     f"The timeout of worker-2 is over, so it is ready: the timeout will be raised in it at client.py:14. {FIRST}"),
    ((*RUNS, READ), ready(Ready.KILL, MAIN),
     f"main killed worker-2, so it is ready: the exception will be raised in it at client.py:14. {FIRST}"),
    ((*RUNS, READ), ready(Ready.KILL),
     f"worker-2 was killed, so it is ready: the exception will be raised in it at client.py:14. {FIRST}"),
    ((*RUNS, READ), ready(Ready.CLOSE, MAIN),
     f"main closed what worker-2 waited on, so it is ready: EBADF will be raised in it at client.py:14. {FIRST}"),
    ((*RUNS, READ), ready(Ready.CLOSE),
     f"What worker-2 waited on was closed, so it is ready: EBADF will be raised in it at client.py:14. {FIRST}"),
    ((*RUNS, waits(Wait.YIELD)), ready(Ready.YIELD, WORKER),
     f"worker-2 only gave way, so it is ready again at once. {FIRST}"),
    ((*RUNS, waits(Wait.LOCK, 6)), ready(Ready.GREENLET, MAIN), f"main let go of lock 6, {GOES_ON}"),
    ((*RUNS, waits(Wait.QUEUE, 6)), ready(Ready.GREENLET, MAIN), f"main used queue 6, {GOES_ON}"),
    ((*RUNS, waits(Wait.EVENT, 6)), ready(Ready.GREENLET, MAIN), f"main set event 6, {GOES_ON}"),
    ((*RUNS, waits(Wait.JOIN)), ready(Ready.GREENLET, OTHER), f"worker-1 is at its end, {GOES_ON}"),
    ((*RUNS, waits(Wait.THREAD)), ready(Ready.GREENLET, HUB), f"The hub heard from the thread, {GOES_ON}"),
    ((*RUNS, READ), ready(Ready.GREENLET, MAIN),
     f"main woke worker-2, so it is ready to go on at client.py:14. {FIRST}"),
    ((*RUNS, READ), ready(Ready.OTHER),
     f"worker-2 was woken, by whom was not recorded, so it is ready to go on at client.py:14. {FIRST}"),
    ((*RUNS, READ, event(Kind.LOOP_EXIT, reason=Wait.READ)), ready(Ready.OTHER),
     f"LoopExit is to be raised in worker-2 at client.py:14, so it is ready. {FIRST}"),
)  # fmt: skip

SWITCHES = said(
    (event(Kind.GREENLET_SPAWN, MAIN, Spawn.MAIN), event(Kind.GREENLET_SWITCH, MAIN),
     "main runs, as it did before there was a hub."),
    (RUNS[0], RUNS[1], "The hub switched to worker-2, which had been ready for 2.00 ms. It begins to run."),
    (RUNS[0], event(Kind.GREENLET_SWITCH, site=14), ("The hub switched to worker-2, which had been ready for 2.00 ms."
      " It begins to run: it was spawned at client.py:14.")),
    ((), event(Kind.GREENLET_SWITCH, OTHER), "main switched to worker-1 itself, without the hub."),
    (RUNS[0], event(Kind.GREENLET_SWITCH, 7), "The hub switched to greenlet #7."),
    (RUNS[0], event(Kind.GREENLET_SWITCH, 7, site=21), "The hub switched to greenlet #7. It goes on at client.py:21."),
    ((*RUNS, OPEN, READ, ready(Ready.WATCHER, 7)), RUNS[1],
     ("The hub switched to worker-2, which had been ready for 1.00 ms."
     f" It goes on at client.py:14: it had waited 1.00 ms to read from {FD}.")),
    ((*RUNS, HELD, waits(Wait.LOCK, 6, aux=MAIN, site=0), ready(Ready.GREENLET, MAIN)), RUNS[1],
     "The hub switched to worker-2, which had been ready for 1.00 ms. It goes on: it had waited 1.00 ms for lock 6."),
    ((*RUNS, waits(Wait.JOIN, aux=MAIN), ready(Ready.GREENLET, OTHER)), RUNS[1],
     ("The hub switched to worker-2, which had been ready for 1.00 ms."
      " It goes on at client.py:14: it had waited 1.00 ms for others to end, worker-1 the last.")),
    ((*RUNS, waits(Wait.JOIN), ready(Ready.GREENLET, HUB)), RUNS[1],
     ("The hub switched to worker-2, which had been ready for 1.00 ms."
      " It goes on at client.py:14: it had waited 1.00 ms for others to end.")),
    ((*RUNS, waits(Wait.YIELD), ready(Ready.YIELD)), RUNS[1],
     ("The hub switched to worker-2, which had been ready for 1.00 ms. It goes on at client.py:14: the others"
     " had their turn.")),
    ((*RUNS, waits(Wait.YIELD, site=0), ready(Ready.YIELD)), RUNS[1],
     "The hub switched to worker-2, which had been ready for 1.00 ms. It goes on: the others had their turn."),
    ((*RUNS, TIMEOUT, READ, OVER, ready(Ready.TIMEOUT, 8)), event(Kind.GREENLET_THROW),
     ("The hub switched to worker-2 and raised its timeout of 20 ms in it. It waited to read from fd 5 at"
     " client.py:14, in"
     " vain.")),
    ((*RUNS, READ, ready(Ready.TIMEOUT, 8)), event(Kind.GREENLET_THROW),
     ("The hub switched to worker-2 and raised its timeout in it. It waited to read from fd 5 at"
     " client.py:14, in vain.")),
    ((*RUNS, READ, ready(Ready.KILL, MAIN)), event(Kind.GREENLET_THROW),
     ("The hub switched to worker-2 and raised in it what it was killed with. It waited to read from fd 5 at"
     " client.py:14,"
     " in vain.")),
    ((*RUNS, READ, ready(Ready.CLOSE, MAIN)), event(Kind.GREENLET_THROW),
     ("The hub switched to worker-2 and raised EBADF in it: what it waited on was closed. It waited to read from fd 5"
     " at client.py:14, in vain.")),
    ((*RUNS, READ, event(Kind.LOOP_EXIT), ready(Ready.OTHER)), event(Kind.GREENLET_THROW),
     "The hub switched to worker-2 and raised LoopExit in it. It waited to read from fd 5 at client.py:14, in vain."),
    (RUNS[0], event(Kind.GREENLET_THROW), "The hub switched to worker-2 and raised an exception in it."),
)  # fmt: skip

EXITS = said(
    (RUNS, event(Kind.GREENLET_EXIT), "worker-2 returned, and is over. The hub goes on."),
    (RUNS, event(Kind.GREENLET_EXIT, reason=Exit.RAISED), "An exception ended worker-2. The hub goes on."),
    (RUNS[0], event(Kind.GREENLET_EXIT, reason=Exit.KILLED), "worker-2 was killed, and is over. It never ran."),
)

WATCHERS = said(
    (RUNS, event(Kind.WATCHER_OPEN, reason=Watch.READ, site=14, arg=pack(7, 5)),
     "worker-2 made its read watcher for fd 5 at client.py:14."),
    (RUNS, OPEN, "worker-2 made its read watcher for fd 5. Its peer is 10.0.0.1:80."),
    (RUNS, OPEN._replace(aux=Origin.CONNECTED),
     "worker-2 made its read watcher for fd 5. It had connected to 10.0.0.1:80."),
    (RUNS, OPEN._replace(aux=Origin.ACCEPTED), "worker-2 made its read watcher for fd 5. It had accepted 10.0.0.1:80."),
    (RUNS, event(Kind.WATCHER_OPEN, reason=Watch.TIMER, arg=pack(7, NO_FD)), "worker-2 made its timer."),
    ((*RUNS, OPEN), arms(Watch.READ), f"worker-2 armed its read watcher on {FD} at client.py:14."),
    (RUNS, arms(Watch.WRITE), "worker-2 armed its write watcher on fd 5 at client.py:14."),
    (RUNS, TIMER, "worker-2 started its timer: it is due in 1.5 s."),
    *((RUNS, event(Kind.WATCHER_START, reason=watch, arg=pack(7, NO_FD)), f"worker-2 armed its {word}.")
      for watch, word in {
          Watch.ASYNC: "watcher of other threads", Watch.SIGNAL: "signal watcher", Watch.CHILD: "child watcher",
          Watch.CHECK: "check watcher", Watch.IDLE: "idle watcher", Watch.PREPARE: "prepare watcher", 99: "watcher",
      }.items()),
    ((*RUNS, OPEN, calls(Op.RECV)), arms(Watch.READ),
     f"The kernel had no data yet for recv() (EWOULDBLOCK), so worker-2 armed its read watcher on {FD}."),
    ((*RUNS, OPEN, calls(Op.ACCEPT)), arms(Watch.READ),
     f"Nobody had connected yet for accept() (EWOULDBLOCK), so worker-2 armed its read watcher on {FD}."),
    ((*RUNS, OPEN, calls(Op.SEND)), arms(Watch.WRITE),
     f"The kernel's buffer was full for send() (EWOULDBLOCK), so worker-2 armed its write watcher on {FD}."),
    ((*RUNS, OPEN, calls(Op.CONNECT)), arms(Watch.WRITE),
     f"The peer had not answered connect() yet (EINPROGRESS), so worker-2 armed its write watcher on {FD}."),
    ((*RUNS, OPEN, calls(Op.SEND, aux=1)), arms(Watch.READ),
     f"For send(), TLS needs more from the peer, so worker-2 armed its read watcher on {FD}."),
    ((*RUNS, OPEN, calls(Op.UNWRAP)), arms(Watch.WRITE),
     f"For unwrap(), TLS has to send first, so worker-2 armed its write watcher on {FD}."),
    ((*RUNS, OPEN, calls(Op.OTHER)), arms(Watch.READ),
     f"call() would have blocked, so worker-2 armed its read watcher on {FD}."),
    ((*RUNS, OPEN, calls(Op.OTHER)), arms(Watch.WRITE),
     f"call() would have blocked, so worker-2 armed its write watcher on {FD}."),
    ((*RUNS, OPEN, READ), event(Kind.WATCHER_FIRE, reason=Watch.READ, arg=pack(7, 5)),
     f"The kernel says that {FD} can be read. worker-2 waits for that at client.py:14."),
    ((*RUNS, OPEN), event(Kind.WATCHER_FIRE, HUB, Watch.WRITE, arg=pack(7, 5)),
     f"The kernel says that {FD} can be written to. The hub will call a function for it."),
    ((*RUNS, TIMER, waits(Wait.TIMER, 9)), event(Kind.WATCHER_FIRE, reason=Watch.TIMER, arg=9),
     "A timer is due. worker-2 waits for that at client.py:14."),
    ((), event(Kind.WATCHER_FIRE, HUB, Watch.SIGNAL, arg=9), "A signal came. The hub will call a function for it."),
    ((), event(Kind.WATCHER_FIRE, HUB, Watch.CHILD, arg=9),
     "A child process ended. The hub will call a function for it."),
    ((), event(Kind.WATCHER_FIRE, HUB, Watch.CHECK, arg=9),
     "The check watcher fired. The hub will call a function for it."),
    ((*RUNS, OPEN), event(Kind.WATCHER_STOP, reason=Watch.READ, arg=pack(7, 5)),
     f"worker-2 no longer waits on its read watcher for {FD}."),
    (RUNS, event(Kind.WATCHER_STOP, reason=Watch.TIMER, arg=9), "worker-2 no longer waits on its timer."),
    (RUNS, event(Kind.WATCHER_STOP, reason=Watch.READ, arg=pack(NO_FD, 5)),
     "worker-2 no longer waits on its read watcher, which was closed meanwhile."),
    ((*RUNS, OPEN), event(Kind.WATCHER_CLOSE, reason=Watch.READ, site=20, arg=pack(7, 5)),
     f"worker-2 closed the read watcher of {FD} at client.py:20. The descriptor's number may be used anew."),
    (RUNS, event(Kind.WATCHER_CLOSE, reason=Watch.TIMER, arg=9), "worker-2 closed the timer."),
    ((*RUNS, OPEN), event(Kind.WATCHER_REFUSE, reason=Watch.READ, aux=6, site=14, arg=pack(7, OTHER)),
     (f"worker-2 wanted to wait on {FD} at client.py:14, where worker-1 waits already. Only one may, so it got"
     f" an error.")),
    (RUNS, event(Kind.WATCHER_REFUSE, reason=Watch.READ, aux=0xFFFF, arg=pack(7, 0)),
     "worker-2 wanted to wait on its descriptor, where somebody waits already. Only one may, so it got an error."),
)  # fmt: skip

TIMEOUTS = said(
    (RUNS, TIMEOUT,
     "worker-2 started a timeout of 20 ms at client.py:13. It will be raised in it, unless it is cancelled before."),
    (RUNS, event(Kind.TIMEOUT_START, reason=Timeouts.SOCKET, arg=pack(8, 5000)),
     "worker-2 started its socket's timeout of 5 s. It will be raised in it, unless it is cancelled before."),
    ((*RUNS, TIMEOUT, READ), OVER,
     "The timeout of 20 ms of worker-2 is over. It will be raised in it at client.py:14, where it waits."),
    (RUNS, OVER, "A timeout of worker-2 is over. It will be raised in it."),
    ((*RUNS, TIMEOUT), event(Kind.TIMEOUT_CANCEL, site=16, arg=8),
     "worker-2 cancelled its timeout of 20 ms at client.py:16, 19.0 ms before its time was over."),
    (RUNS, event(Kind.TIMEOUT_CANCEL, arg=8), "worker-2 cancelled a timeout, before its time was over."),
)  # fmt: skip

THE_HUB = said(
    ((*RUNS, READ), event(Kind.POLL_BEGIN, HUB, aux=1),
     "Nobody is ready, so the hub asks the kernel, and blocks until something happens."),
    ((*RUNS, READ), event(Kind.POLL_BEGIN, HUB), "The hub asks the kernel for news, without waiting."),
    (RUNS[0], event(Kind.POLL_BEGIN, HUB),
     "The hub asks the kernel for news, without waiting, because one greenlet is ready."),
    ((event(Kind.GREENLET_READY, OTHER, Ready.SPAWN), RUNS[0]), event(Kind.POLL_BEGIN, HUB),
     "The hub asks the kernel for news, without waiting, because 2 greenlets are ready."),
    ((*RUNS, READ), event(Kind.POLL_END, HUB), "The kernel answered: no watcher fired."),
    ((*RUNS, READ, ready(Ready.WATCHER, 7)), event(Kind.POLL_END, HUB, aux=1),
     "The kernel answered: one watcher fired. worker-2 is first in the ready queue."),
    ((*RUNS, READ), event(Kind.POLL_END, HUB, aux=3), "The kernel answered: 3 watchers fired."),
    ((*RUNS, waits(Wait.EVENT, 6)), event(Kind.LOOP_EXIT, reason=Wait.EVENT, aux=2, site=14, arg=pack(6, 40)),
     ("All 2 greenlets wait, and nothing is left that could wake any: LoopExit will be raised in the main"
     " greenlet. It comes"
     " down to worker-2, which has waited 40 ms for event 6 at client.py:14.")),
    ((), event(Kind.LOOP_EXIT, MAIN, Wait.QUEUE, aux=1, arg=pack(6, 40)),
     ("The one greenlet that is left waits, and nothing could wake it: LoopExit will be raised in the main"
     " greenlet. It comes"
     " down to main, which has waited 40 ms for queue 6.")),
    ((), event(Kind.LOOP_EXIT, MAIN, Wait.YIELD),
     ("Nothing is left that could wake anyone: LoopExit will be raised in the main greenlet. It comes down to"
     " main, which has"
     " waited 0 ms for its turn.")),
    ((), event(Kind.CALLBACK_BEGIN, HUB, arg=pack(9, 5)),
     "The hub calls resize() itself. No greenlet runs before that returns."),
    ((), event(Kind.CALLBACK_BEGIN, HUB), "The hub calls a function itself. No greenlet runs before that returns."),
    (event(Kind.CALLBACK_BEGIN, HUB, arg=pack(9, 5)), event(Kind.CALLBACK_END, HUB),
     "resize(), which the hub called, returned."),
    (event(Kind.CALLBACK_BEGIN, HUB, arg=pack(9, 5)), event(Kind.CALLBACK_END, HUB, Exit.RAISED),
     "An exception ended resize(), which the hub called."),
    ((), event(Kind.CALLBACK_END, HUB), "The function that the hub called returned."),
    ((), event(Kind.CALLBACK_END, HUB, Exit.RAISED), "An exception ended the function that the hub called."),
)  # fmt: skip

THREADS = said(
    (RUNS, JOB,
     ("worker-2 gave resize() to a pool of at most 10 threads at client.py:14. The hub serves the others while a"
     " thread does that.")),
    (RUNS, JOB._replace(aux=1, arg=3),
     ("worker-2 gave a function to a pool of one thread at client.py:14. The hub serves the"
     " others while a thread does that.")),
    (RUNS, JOB._replace(aux=0),
     ("worker-2 gave resize() to a pool of threads at client.py:14. The hub serves the others while"
     " a thread does that.")),
    (RUNS, JOB._replace(text="example.org"),
     ("worker-2 gave resize() for example.org to a thread at client.py:14. The hub"
     " serves the others while a thread does that.")),
    ((*RUNS, JOB), event(Kind.JOB_END, HUB, arg=pack(3, 30)),
     "resize() is over in its thread, and the hub has heard of it. It had waited 30 ms for a thread."),
    ((*RUNS, JOB), event(Kind.JOB_END, HUB, Exit.RAISED, arg=3),
     "An exception ended resize() in its thread, and the hub has heard of it."),
    (RUNS, event(Kind.JOB_END, reason=Exit.KILLED, arg=3), "worker-2 took a function back before a thread began it."),
)  # fmt: skip

A, R = Kind.RESOURCE_ACQUIRE, Kind.RESOURCE_RELEASE
RESOURCES = said(
    (RUNS, takes(A, Resource.LOCK), "worker-2 took lock 6 at client.py:14, and holds it from here on."),
    (RUNS, HELD, "main holds lock 6 already. That is said now because somebody is about to wait for it."),
    (RUNS, takes(R, Resource.RLOCK), "worker-2 let go of lock 6 at client.py:14."),
    (RUNS, takes(A, Resource.SEMAPHORE),
     ("worker-2 took semaphore 6 at client.py:14, and holds it from here on. It lets nobody"
     " else in.")),
    (RUNS, takes(R, Resource.SEMAPHORE, 1), "worker-2 let go of semaphore 6 at client.py:14. It lets one more in."),
    (RUNS, takes(R, Resource.SEMAPHORE, 2), "worker-2 let go of semaphore 6 at client.py:14. It lets 2 more in."),
    (RUNS, takes(A, Resource.CONDITION), "worker-2 was notified by condition 6 at client.py:14."),
    (RUNS, takes(R, Resource.CONDITION), "worker-2 notified condition 6 at client.py:14."),
    (RUNS, takes(A, Resource.QUEUE), "worker-2 took an item from queue 6 at client.py:14. Nothing is left in it."),
    (RUNS, takes(R, Resource.QUEUE, 1), "worker-2 put an item into queue 6 at client.py:14. One item is in it."),
    (RUNS, takes(R, Resource.QUEUE, 9), "worker-2 put an item into queue 6 at client.py:14. 9 items are in it."),
    (RUNS, takes(A, Resource.EVENT), "worker-2 saw that event 6 is set at client.py:14."),
    (RUNS, takes(R, Resource.EVENT), "worker-2 set event 6 at client.py:14."),
    (RUNS, takes(A, Resource.RESULT), "worker-2 has the value of result 6 at client.py:14."),
    (RUNS, takes(R, Resource.RESULT), "worker-2 gave result 6 its value at client.py:14."),
    (RUNS, takes(A, Resource.OTHER), "worker-2 acquired resource 6 at client.py:14."),
    (RUNS, takes(R, Resource.OTHER), "worker-2 released resource 6 at client.py:14."),
)  # fmt: skip


def over(op: Op, *, aux: int = 0, arg: int = 0, text: str = "") -> Event:
    return event(Kind.OP_END, reason=op, aux=aux, arg=arg, text=text)


WAITED = (*RUNS, OPEN, calls(Op.RECV), READ, ready(Ready.WATCHER, 7), RUNS[1])
CALLS = said(
    ((*RUNS, OPEN), calls(Op.RECV),
     (f"worker-2 called recv() on {FD} at client.py:14. It asks the kernel at once, and waits only if that"
     f" would block.")),
    (RUNS, event(Kind.OP_BEGIN, reason=Op.SEND, aux=1, arg=pack(0, 5)),
     "worker-2 called send() over TLS on fd 5. It asks the kernel at once, and waits only if that would block."),
    ((*RUNS, calls(Op.RECV)), over(Op.RECV, arg=5),
     "The recv() of worker-2 is over: it got 5 bytes. It did not have to wait."),
    (WAITED, over(Op.RECV, arg=1),
     "The recv() of worker-2 is over: it got one byte. It had to wait once, and took 4.00 ms."),
    ((*WAITED, READ, ready(Ready.WATCHER, 7), RUNS[1]), over(Op.RECV, aux=errno.ECONNRESET),
     "The recv() of worker-2 failed with ECONNRESET. It had to wait 2 times, and took 7.00 ms."),
    (RUNS, over(Op.RECV), "The recv() of worker-2 is over: it got 0 bytes, which says that the peer sends no more."),
    (RUNS, over(Op.RECVFROM), "The recvfrom() of worker-2 is over: it got 0 bytes."),
    (RUNS, over(Op.SENDALL), "The sendall() of worker-2 is over: the kernel took 0 bytes."),
    (RUNS, over(Op.SEND, arg=1), "The send() of worker-2 is over: the kernel took one byte."),
    (RUNS, over(Op.SENDFILE, arg=70_000), "The sendfile() of worker-2 is over: the kernel took 70000 bytes."),
    (RUNS, over(Op.ACCEPT, arg=9), "The accept() of worker-2 is over: the new connection is fd 9."),
    (RUNS, over(Op.CONNECT), "The connect() of worker-2 is over: it is connected."),
    (RUNS, over(Op.HANDSHAKE), "The do_handshake() of worker-2 is over: both sides have agreed on TLS."),
    (RUNS, over(Op.UNWRAP), "The unwrap() of worker-2 is over: TLS has ended."),
    (RUNS, over(Op.OTHER), "The call() of worker-2 is over."),
    (RUNS, over(Op.RECV, aux=errno.EWOULDBLOCK),
     "The recv() of worker-2 would have blocked (EWOULDBLOCK), and may not wait."),
    (RUNS, over(Op.RECV, aux=NO_ERRNO, text="Timeout"), "Timeout ended the recv() of worker-2."),
    (RUNS, over(Op.RECV, aux=NO_ERRNO), "An exception ended the recv() of worker-2."),
)  # fmt: skip

SPAN, REQUEST = event(Kind.SPAN_BEGIN, site=14, arg=pack(1, 5)), event(Kind.REQUEST_BEGIN, arg=2, text="r1\nGET /")
NOTES = said(
    (RUNS, SPAN, "worker-2 began the span resize at client.py:14."),
    ((*RUNS, SPAN), event(Kind.SPAN_END, arg=1), "worker-2 ended the span resize."),
    ((*RUNS, SPAN), event(Kind.SPAN_END, reason=Exit.RAISED, arg=pack(1, 6)),
     "ValueError ended the span resize of worker-2."),
    (RUNS, event(Kind.SPAN_END, reason=Exit.RAISED, arg=1), "An exception ended a span of worker-2."),
    (RUNS, event(Kind.MARK, site=14, text="{half} way"), "worker-2 left a mark at client.py:14: {half} way"),
    (RUNS, REQUEST, "worker-2 began to serve request r1 (GET /)."),
    (RUNS, REQUEST._replace(text="r1"), "worker-2 began to serve request r1."),
    (RUNS, REQUEST._replace(text=""), "worker-2 began to serve a request."),
    ((*RUNS, REQUEST), event(Kind.REQUEST_END, aux=200, arg=2),
     "worker-2 has served request r1 (GET /). The response's status is 200."),
    (RUNS, event(Kind.REQUEST_END, reason=Exit.RAISED, arg=pack(2, 6)),
     "ValueError ended a request, which worker-2 served."),
    (RUNS, event(Kind.STALL_BEGIN, reason=Blocked.RUNNING, text="/srv/app.py\t12\tserve\n/srv/app.py\t20\tmain"),
     ("The watchdog sees that worker-2 has run at app.py:12 for 13.0 ms without giving the hub its turn. Its"
     " thread computes;"
     f" {NOBODY_ELSE}")),
    (RUNS, event(Kind.STALL_BEGIN),
     ("The watchdog sees that worker-2 has run for 13.0 ms without giving the hub its turn."
     " Nobody else can run meanwhile.")),
    (RUNS, event(Kind.STALL_END, arg=309_000_000), "worker-2 gave the hub its turn again, after 309 ms."),
    (RUNS, event(Kind.DETAIL, reason=Detail.SWITCH), "From here on only switches, watchers and timeouts are recorded."),
    (RUNS, event(Kind.DETAIL, reason=Detail.IO),
     "From here on the calls of sockets are recorded too, and who holds what."),
    (RUNS, event(Kind.DETAIL, reason=Detail.TEACH), "From here on every step is recorded."),
    (RUNS, event(Kind.DETAIL, reason=9), "From here on another level of detail is recorded."),
    ((), event(Kind.TEXT), "Text that belongs to the event before it."),
    ((), event(200), "An event of kind 200, which this version does not know."),
    ((), event(Kind.MARK, 0, text="m"), "Somebody left a mark: m"),
)  # fmt: skip

ALL = (
    *SPAWNS, *PARKS, *READIES, *SWITCHES, *EXITS, *WATCHERS, *TIMEOUTS, *THE_HUB, *THREADS, *RESOURCES, *CALLS, *NOTES,
)  # fmt: skip
STALLED = tuple(((), event(Kind.STALL_BEGIN, reason=reason), "") for reason in Blocked)


def after(story: Story | Event) -> Told:
    return Told(*(story if story and not isinstance(story, Event) else [story] if story else []))


@pytest.mark.parametrize(("story", "one", "words"), ALL, ids=[f"{k[1].kind}-{n}" for n, k in enumerate(ALL)])
def test_a_step_is_told_in_plain_words(story: Story | Event, one: Event, words: str):
    told = after(story)
    assert narrate(told.steps, told.timed(one)) == words


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_and_every_stall_is_told_in_every_language(language: str):
    assert set(TOLD) == set(EVENT_KINDS)
    for story, one, _ in (*ALL, *STALLED):
        told = after(story)
        words = narrate(told.steps, told.timed(one), language)
        assert words.endswith((".", "。", one.text)), words
        assert not re.search(r"  | [.,:;。，：]|[，。：] |\.\.", words), words
    assert {one.kind for _, one, _ in ALL} >= set(Kind)


def test_chinese_reads_as_chinese():
    told = Told(*RUNS, OPEN, calls(Op.RECV), arms(Watch.READ))
    assert narrate(told.steps, told.timed(READ), "zh") == (
        "worker-2 在 client.py:14 调用了 recv()。内核还没有数据（EWOULDBLOCK），于是它启动文件描述符 5"
        "（10.0.0.1:80）上的读监视器，并切换到 hub。它之后会从这一行继续。"
    )
    told.go_on(READ)
    assert narrate(told.steps, told.timed(ready(Ready.WATCHER, 7)), "zh") == (
        "文件描述符 5（10.0.0.1:80）可读了，所以 worker-2 就绪，将从 client.py:14 继续。它排在就绪队列的第一位。"
    )
    told.go_on(ready(Ready.WATCHER, 7))
    assert narrate(told.steps, told.timed(RUNS[1]), "zh") == (
        "hub 切换到 worker-2，它已经就绪了 1.00 ms。它从 client.py:14 继续：它等了 2.00 ms，等待的是文件描述符 5"
        "（10.0.0.1:80）可读。"
    )
    assert narrate(told.steps, event(Kind.JOB_END, HUB), "zh") == "一个函数在线程里执行完毕，hub 得知了这一点。"
    closed = event(Kind.WATCHER_CLOSE, HUB, Watch.TIMER)
    assert narrate(told.steps, closed, "zh") == "hub 关闭了定时器。"
    assert narrate_loss(12, "zh").startswith("这里丢失了 12 条记录：")


def test_after_a_loss_only_what_is_known_is_said():
    told = Told(*RUNS, OPEN, READ)
    told.steps.lose(3)
    lost = "records were lost here: who runs, who is ready and what is armed is not known until it is said again."
    assert narrate_loss(3) == f"3 {lost}"
    assert narrate_loss(1) == f"One {lost.replace('records were', 'record was')}"
    assert narrate_loss(0) == "Nothing was lost here."
    assert narrate(told.steps, told.timed(ready(Ready.WATCHER, 7))) == f"{FD} can be read, so worker-2 is ready."
    assert narrate(told.steps, told.timed(RUNS[1])) == "The hub switched to worker-2."
    assert (
        narrate(told.steps, told.timed(event(Kind.POLL_END, HUB, aux=1))) == "The kernel answered: one watcher fired."
    )
    nothing = Steps(Names())
    assert narrate(nothing, event(Kind.GREENLET_EXIT)) == "Greenlet #3 returned, and is over."


# -- the tables ---------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_languages_have_the_same_keys_with_the_same_places(language: str):
    english, other = LANGUAGES["en"], LANGUAGES[language]
    assert sorted(other) == sorted(english)
    for key, words in other.items():
        assert places(words) == places(english[key]), key
        assert words or key == "between", key


def places(words: str) -> list[str]:
    return sorted({name for _, name, _, _ in Formatter().parse(words) if name is not None})


def test_every_sentence_of_the_tables_is_tested_here(monkeypatch: pytest.MonkeyPatch):
    said_keys: set[str] = set()

    class Heard(dict[str, str]):
        def __getitem__(self, key: str) -> str:
            said_keys.add(key)
            return super().__getitem__(key)

    monkeypatch.setitem(LANGUAGES, "en", Heard(LANGUAGES["en"]))
    for story, one, _ in (*ALL, *STALLED):
        told = after(story)
        narrate(told.steps, told.timed(one))
    for count in range(3):
        narrate_loss(count)
    others = {
        key for key in LANGUAGES["en"] if key.startswith(("why.", "cause.", "file."))
    }  # of other tests: labels, causes, replay_source
    assert set(LANGUAGES["en"]) - others - said_keys == set()
