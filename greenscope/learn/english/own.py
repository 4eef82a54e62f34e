"""The lesson about somebody's own program, in English."""

from __future__ import annotations

__all__ = ["OWN"]

OWN: dict[str, str] = {
    "own.title": "{file}, step by step",
    "own.summary": (
        "What the hub does in this run, of {steps} steps. Each passage goes to the first step of its kind; look around "
        "from there."
    ),
    "own.begins": (
        "Up to here this was a plain Python program, and from here on it has a hub. `main` is the greenlet that your "
        "program began in; when it waits, it is treated like any other."
    ),
    "own.spawned": (
        "At {at} `{by}` spawns `{who}`. Its function is not called yet: it will stand in the ready queue, and `{by}` "
        "goes on."
    ),
    "own.parked": (
        "`{who}` is the first that hands over, at {at}. It parks: it keeps its place with all its variables, and "
        "switches to the hub, in the same thread."
    ),
    "own.begun": (
        "The hub takes the first of the ready queue and switches to it: `{who}` runs, until it waits, gives way or "
        "ends. Nobody interrupts it."
    ),
    "own.timer": (
        "`{who}` waits at {at} for time to pass. A timer is started for that, and the thread is free for the others."
    ),
    "own.reads": (
        "`{who}` wants to read from fd {fd} at {at}, and nothing has come yet: the kernel says EWOULDBLOCK. So a read "
        "watcher is armed, which will tell when it is worth asking again."
    ),
    "own.writes": (
        "`{who}` wants to write to fd {fd} at {at}, and cannot yet: the kernel's buffer is full, or the connection is "
        "not made. So a write watcher is armed."
    ),
    "own.blocks": (
        "Nobody is ready, so the hub asks the kernel and blocks: for all descriptors and all timers at once. Here, and "
        "only here, a green program waits."
    ),
    "own.fired": (
        "What `{who}` waited for has happened. The hub heard it from the kernel, a watcher fired, and `{who}` is ready "
        "to go on at {at}. It does not run yet."
    ),
    "own.back": (
        "{gap} later the hub switches to `{who}`, which goes on at {at}, in the middle of the call that it was in."
    ),
    "own.at_once": (
        "This call of `{who}` at {at} is over without a wait: the kernel gave at once what it was asked for. No "
        "watcher, no switch; the hub hears nothing of it."
    ),
    "own.yields": "At {at} `{who}` gives way. It is ready again at once, but behind everybody who was ready before it.",
    "own.wakes": (
        "`{by}` does what `{who}` waits for, and so makes it ready. The kernel has no part in this; and it is no "
        "switch: `{by}` still runs."
    ),
    "own.lock": ("`{who}` wants a lock at {at} that another greenlet holds. It parks, until the lock is handed to it."),
    "own.joins": "`{who}` waits at {at} for other greenlets to end. Whoever ends makes those ready that wait for it.",
    "own.timed": (
        "At {at} `{who}` starts a timeout of {ms}. It interrupts nothing: it is a timer of the hub's, which will be "
        "thrown into `{who}` if it is due before it is cancelled."
    ),
    "own.thrown": (
        "The time of a timeout is over, and the hub throws it into `{who}`: it is raised at {at}, where that waited."
    ),
    "own.cancelled": "`{who}` cancels a timeout before its time. It is gone, and cannot hit anything that comes later.",
    "own.killed": (
        "`{who}` is killed by `{by}`: it is ready, and in its turn an exception is thrown at the place where it waits."
    ),
    "own.closed": (
        "`{by}` closes what `{who}` waits on. `{who}` is woken, by EBADF: it would else wait for a descriptor that is "
        "no more."
    ),
    "own.job": (
        "At {at} `{who}` gives a call to a pool of threads, because it would block everybody. A native thread makes "
        "it, while the hub goes on."
    ),
    "own.job_done": (
        "The thread is done, and the hub hears of it in its poll. No other thread can make a greenlet ready: that is "
        "done in the hub's own."
    ),
    "own.callback": (
        "Here the hub calls a function itself, and no greenlet is around it. Such a function must not wait: nobody "
        "could switch back to it."
    ),
    "own.long": (
        "A long run begins: `{who}` keeps the thread for {ran} without giving way. All who become ready meanwhile, and "
        "all timers, are late by that much."
    ),
    "own.raised": (
        "An exception ends `{who}`. No other greenlet is hit by it; those that wait for its end hear that it is over."
    ),
    "own.ended": "`{who}` returns, and is over. The hub takes the next of the ready queue.",
    "own.loop_exit": (
        "Everybody waits, and nothing is left that could wake anybody: no timer, no watcher, no thread. So the hub "
        "gives up, and LoopExit is raised in the main greenlet."
    ),
    "own.lost": (
        "Records are missing here: the ring had room for the newest only. What they said about who runs and who waits "
        "is not known until it is said again."
    ),
    "own.remember": (
        "This is where the run ends. Remember: one runs, until it waits, gives way or ends; who is ready gets its turn "
        "in order; and only the hub waits in the kernel."
    ),
    "own.parks?": "How many times did `{who}` park?",
    "own.parks.right": "Right: {answer}. Each time it handed over to the hub of its own accord.",
    "own.parks.hint": "Go from park to park of `{who}`, and count.",
    "own.blocked?": "How many times did the hub block in the kernel, because nobody was ready?",
    "own.blocked.right": "Right: {answer}. The hub blocks when nobody is ready, and never otherwise.",
    "own.blocked.hint": (
        "Count the steps in which the hub asks the kernel and blocks; those in which it only asks are others."
    ),
    "own.exits?": "How many greenlets came to their end in this run?",
    "own.exits.right": "Right: {answer}. Those that are left were not over when the recording ended.",
    "own.exits.hint": "Count the steps in which a greenlet is over.",
    "own.woke?": "What made `{who}` ready, after it had parked at {at}?",
    "own.woke.hub": "News from the kernel, which the hub heard: a timer, or a descriptor",
    "own.woke.other": "Another greenlet, which did what it waited for, or ended it",
    "own.woke.timeout": "A timeout of its own, whose time was over",
    "own.woke.itself": "Itself: it only gave way",
    "own.woke.right": "Right. That it is ready only says that it stands in the ready queue.",
    "own.woke.hint": "Go to the step in which `{who}` becomes ready again; its words say why.",
    "own.first?": "`{who}` has parked. To whom does the hub switch first?",
    "own.first.right": "Right: `{first}` was first in the ready queue.",
    "own.first.hint": "Find the first switch after `{who}` has parked.",
    "own.most?": "Who parked most often?",
    "own.most.right": "Right. Whoever parks often gives the others many turns.",
    "own.most.hint": "Look at the strip of the timeline: whose lane has most waits?",
    "own.back?": "Go to the step in which `{who}` goes on, after it had parked at {at}.",
    "own.back.right": "Right: it goes on where it was, with all its variables.",
    "own.back.hint": "To be ready is not to run. Look for the switch to `{who}`.",
    "own.blocks?": "Go to the first step in which the hub blocks in the kernel.",
    "own.blocks.right": "Right: nobody is ready here.",
    "own.blocks.hint": "It asks the kernel, and it does so because nobody is ready.",
    "own.park?": "Go to the step in which `{who}` parks for the first time.",
    "own.park.right": "Right: here it switches to the hub.",
    "own.park.hint": "It is the first step in which anybody hands over to the hub.",
}
