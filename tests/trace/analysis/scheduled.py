"""Events of a made-up program, as a hub would write them: what greenlets do is drawn, what that comes to is legal."""

from __future__ import annotations

from dataclasses import dataclass, field

from greenscope.trace.events import Exit, Kind, Ready, Spawn, Wait, pack
from greenscope.trace.records import Event

HUB, MAIN = 1, 2
REASONS = (Wait.READ, Wait.TIMER, Wait.LOCK, Wait.EVENT, Wait.JOIN)


@dataclass
class Program:
    """A hub and its greenlets; time passes with every event."""

    now: int = 1000
    step: int = 10
    running: int = MAIN
    ready: list[int] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)
    unstarted: list[int] = field(default_factory=list)
    going_on: list[int] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    numbers: int = MAIN
    resources: int = 100

    def __post_init__(self) -> None:
        self.say(HUB, Kind.GREENLET_SPAWN, Spawn.HUB)
        self.say(MAIN, Kind.GREENLET_SPAWN, Spawn.MAIN)
        self.say(MAIN, Kind.GREENLET_SWITCH)

    def say(self, greenlet: int, kind: Kind, reason: int = 0, *, aux: int = 0, arg: int = 0, text: str = "") -> int:
        """Write an event: its time."""
        self.now += self.step
        self.events.append(Event(self.now, greenlet, kind, reason, aux, 0, arg, text))
        return self.now

    def run(self, greenlet: int) -> None:
        """The hub switches to one that is ready."""
        self.ready.remove(greenlet)
        self.running = greenlet
        self.say(greenlet, Kind.GREENLET_SWITCH)

    def spawn(self, *, start: bool = True) -> int:
        """Who runs makes a greenlet, and starts it."""
        self.numbers += 1
        self.say(self.numbers, Kind.GREENLET_SPAWN, Spawn.GREENLET, arg=self.running)
        self.unstarted.append(self.numbers)
        if start:
            self.start(self.numbers)
        return self.numbers

    def start(self, greenlet: int) -> None:
        self.unstarted.remove(greenlet)
        self.ready.append(greenlet)
        self.say(greenlet, Kind.GREENLET_READY, Ready.SPAWN, arg=self.running)

    def park(self, reason: Wait = Wait.READ) -> None:
        """Who runs waits."""
        self.say(self.running, Kind.GREENLET_PARK, reason, arg=7)
        self.waiting.append(self.running)
        self.running = 0

    def wake(self, greenlet: int, by: Ready = Ready.WATCHER) -> None:
        """Who runs, or else the hub for a watcher, or for what it does not say, makes one ready that waits."""
        self.waiting.remove(greenlet)
        self.ready.append(greenlet)
        if self.running:
            self.say(greenlet, Kind.GREENLET_READY, Ready.GREENLET, arg=self.running)
        else:
            self.say(greenlet, Kind.GREENLET_READY, by, arg=7 if by is Ready.WATCHER else 0)

    def end(self) -> None:
        """Who runs ends."""
        self.say(self.running, Kind.GREENLET_EXIT)
        self.running = 0

    def begin_request(self, text: str = "r\nGET /things/1") -> int:
        """Who runs begins a request: its number."""
        self.resources += 1
        self.say(self.running, Kind.REQUEST_BEGIN, arg=self.resources, text=text)
        self.going_on.append(self.resources)
        return self.resources

    def end_request(self, number: int, status: int = 200, how: Exit = Exit.RETURNED, error: int = 0) -> None:
        self.going_on.remove(number)
        self.say(self.running, Kind.REQUEST_END, how, aux=status, arg=pack(number, error))


def drawn(choices: list[tuple[int, int]]) -> Program:
    """A program that does what these pairs say, where it can: which of the things it may do, and with whom."""
    program = Program()
    for what, whom in choices:
        program.step = (0, 1, 10, 1000)[whom % 4]
        _act(program, what, whom // 4)
    return program


def _act(program: Program, what: int, whom: int) -> None:
    if not program.running:
        if what % 3 == 0 and program.waiting:
            program.wake(program.waiting[whom % len(program.waiting)], (Ready.WATCHER, Ready.OTHER)[what // 3 % 2])
        elif program.ready:
            program.run(program.ready[whom % len(program.ready)])
        elif program.waiting:
            program.wake(program.waiting[whom % len(program.waiting)])
        return
    match what:
        case 0 | 1:
            program.spawn(start=bool(whom % 5))
        case 2 | 3 | 4:
            program.park(REASONS[whom % len(REASONS)])
        case 5 | 6 if program.waiting:
            program.wake(program.waiting[whom % len(program.waiting)])
        case 7 if program.running != MAIN:
            program.end()
        case 8 | 9:
            program.begin_request()
        case 10 if program.going_on:
            program.end_request(program.going_on[whom % len(program.going_on)])
        case 11 if program.unstarted:
            program.start(program.unstarted[whom % len(program.unstarted)])
        case _:
            program.now += whom
