"""Lessons 1 to 5, in English: how one greenlet waits."""

from __future__ import annotations

__all__ = ["ALONE"]

ALONE: dict[str, str] = {
    # 1
    "sleep.title": "One greenlet, one sleep",
    "sleep.summary": (
        "`sleep` does not stop your program. It starts a timer and hands over to the hub, and it is the hub that waits."
    ),
    "sleep.begins": (
        "It looks as if `sleep(0.2)` stopped the program for a fifth of a second. Here runs `main`, which is your "
        "program itself, and a greenlet like any other. Watch for the step that really waits."
    ),
    "sleep.armed": (
        "At {at} `main` calls `sleep`, and nothing stops: all it does is start a timer, which is due in {ms}. From now "
        "on the timer stands among what is armed, with `main` as its owner."
    ),
    "sleep.parked": (
        "Then `main` parks: it keeps its place at {at} and switches to the hub. A switch is a jump inside one thread; "
        "the kernel does not hear of it."
    ),
    "sleep.blocks": (
        "The hub looks for somebody who is ready, and finds nobody. So it asks the kernel for news and lets itself be "
        "blocked until the next timer is due. This step is the one that waits, and it uses no processor."
    ),
    "sleep.fired": "{waited} later the timer is due, and the hub looks up whose it was: `{who}`.",
    "sleep.ready": (
        "So `main` is ready. Ready is not yet running: it stands in the ready queue, until the hub has taken in all "
        "the news that the kernel had."
    ),
    "sleep.runs": (
        "Now the hub takes the first of the ready queue and switches to it. `main` goes on in the middle of `sleep`, "
        "at {at}, as if it had never been away."
    ),
    "sleep.remember": (
        "Remember: a greenlet that waits is a place to go on from and a watcher or a timer, nothing more. Who waits is "
        "the hub, for everybody at once, and meanwhile it would have run anybody who was ready."
    ),
    "sleep.blocked?": "How many times did the hub block in the kernel, because nobody was ready?",
    "sleep.blocked.right": "Right: {answer}. The hub blocks when nobody is ready, and never otherwise.",
    "sleep.blocked.hint": "Go through the steps of the hub and count those in which it asks the kernel and blocks.",
    "sleep.where?": "While the timer runs, where is the program's thread?",
    "sleep.where.inside": "Inside `sleep`, where it looks at the clock again and again",
    "sleep.where.hub": "In the hub, which is blocked in the kernel until the timer is due",
    "sleep.where.thread": "It runs on, and a second thread counts the time",
    "sleep.where.right": "Right: it is the hub that waits in the kernel. `main` only left word of when to wake it.",
    "sleep.where.hint": (
        "Look at what the hub does between the step in which `main` parks and the one in which it is ready."
    ),
    "sleep.ready?": "Go to the step that makes `main` ready to go on after its first sleep.",
    "sleep.ready.right": "Right: the timer made it ready. It ran {gap} later, when the hub switched to it.",
    "sleep.ready.hint": "Ready is not yet running: find the step after which `main` stands in the ready queue.",
    # 2
    "recv.title": "recv on an empty socket",
    "recv.summary": (
        "What happens between `recv` and the data: the kernel says EWOULDBLOCK, a watcher is armed, the hub takes "
        "over, and comes back."
    ),
    "recv.asked": (
        "Ask what `recv` does, and most will say: it waits for data. At {at} `reader` calls it, and its first act is "
        "not to wait. It asks the kernel for what is there already, on a socket that never blocks."
    ),
    "recv.armed": (
        "Nothing is there, and the kernel says so at once: EWOULDBLOCK. So `reader` arms its read watcher on fd {fd}, "
        "which is to say: tell me when this can be read."
    ),
    "recv.parked": (
        "Only now it parks and switches to the hub. It has not left `recv`: it stands in the middle of it, at {at}, "
        "with all its variables."
    ),
    "recv.others": "The hub switches to `writer`, which was ready. That `reader` waits keeps nobody else from running.",
    "recv.blocks": (
        "When nobody is ready any more, the hub blocks in the kernel: for fd {fd} and for the timer, in one and the "
        "same call. One thread waits for all that all greenlets wait for."
    ),
    "recv.sent": (
        "`writer` has sent {bytes} bytes, and wakes nobody by that: it knows nothing of `reader`. The bytes lie in the "
        "kernel's buffer."
    ),
    "recv.fired": (
        "When the hub asks the kernel next, it hears that fd {fd} can be read. The read watcher fires. It belongs to "
        "`{who}`, which is ready by that."
    ),
    "recv.runs": (
        "The hub switches back, {waited} after `reader` parked. Inside of `recv`, at {at}, it asks the kernel once "
        "more."
    ),
    "recv.got": (
        "This time there is something: {bytes} bytes. Only now `recv` returns, and for the program it simply took a "
        "while."
    ),
    "recv.again": (
        "The loop calls `recv` once more, and this time it is over without a wait: the other {bytes} bytes were there "
        "already. No watcher, no switch; the hub heard nothing of it."
    ),
    "recv.remember": (
        "Remember: ask first. If that would block, arm a watcher, park, and ask again when the hub switches back. "
        "Every call of a green socket is built like this."
    ),
    "recv.waits?": "How many times did `reader` have to wait for something to read?",
    "recv.waits.right": (
        "Right: {answer}. A `recv` parks only if nothing is there yet; what lies in the kernel it takes at once."
    ),
    "recv.waits.hint": "Count the steps in which `reader` parks to read, and not its calls of `recv`.",
    "recv.woke?": "Who made `reader` ready when the data came?",
    "recv.woke.writer": "`writer`, by sending",
    "recv.woke.hub": "The hub, which heard from the kernel that fd {fd} can be read",
    "recv.woke.self": "`reader` itself: it looked again every few milliseconds",
    "recv.woke.right": (
        "Right: what one greenlet sends and another one waits for meets in the kernel, and only the hub asks there."
    ),
    "recv.woke.hint": "Look at the step before `reader` is ready: whose watcher fires, and who was told?",
    "recv.back?": "Go to the step in which `reader` goes on inside of the `recv` that had to wait.",
    "recv.back.right": "Right: here the hub switches back to it, and it asks the kernel a second time.",
    "recv.back.hint": (
        "That is neither the watcher's firing nor the step that makes it ready, but the switch after them."
    ),
    # 3
    "turns.title": "Two greenlets, one hub",
    "turns.summary": "Who runs when: until when a greenlet keeps running, and who decides what comes next.",
    "turns.spawned": (
        "Many believe that `spawn` runs the function. It does not: `ping` exists, is ready, and stands in the ready "
        "queue. `main` goes on."
    ),
    "turns.parks": (
        "`main` has spawned both and printed its line before either of them did anything. The hub gets its turn only "
        "now that `main` waits, at {at}."
    ),
    "turns.begins": (
        "The hub takes the first of the ready queue, `{who}`, {waited} after it became ready. From here on it keeps "
        "the thread for as long as it likes: there are no time slices, and nobody interrupts it."
    ),
    "turns.yields": "At {at} it calls `sleep(0)`, which waits for nothing: it only gives way, by a switch to the hub.",
    "turns.behind": (
        "So it is ready again in the same moment; but it joins the ready queue at its end, behind everybody who was "
        "ready before."
    ),
    "turns.other": (
        "Now it is the turn of `{who}`, which was next. The hub has no favourites: first come, first served."
    ),
    "turns.again": (
        "`{other}` gave way as well, and so `{who}` has its second turn. It goes on at {at}, in the middle of its "
        "loop, with its variables as it left them."
    ),
    "turns.ends": "A greenlet that returns is over. It needs no turn any more, and the hub takes the next.",
    "turns.woken": "`{by}` is the last to end of those that `main` waits for, and so `main` is ready.",
    "turns.remember": (
        "Remember: whoever runs, runs until it waits, gives way or ends. Then the hub takes the next of the ready "
        "queue. Nothing ever runs at the same time, and nothing is interrupted in between."
    ),
    "turns.count?": "How many times did the hub switch to `ping`?",
    "turns.count.right": "Right: {answer}. Once to begin, and once more each time it had given way.",
    "turns.count.hint": "Count the steps in which the hub switches to `ping`. One comes before its first `sleep(0)`.",
    "turns.first?": "`main` has parked. To whom does the hub switch first?",
    "turns.first.right": "Right: `{who}` had been ready for longest, so it stood first in the ready queue.",
    "turns.first.hint": "Look at the ready queue at the moment in which `main` parks.",
    "turns.begin?": "Go to the step in which `pong` begins to run.",
    "turns.begin.right": "Right: `pong` was spawned {waited} before, and has run nothing until here.",
    "turns.begin.hint": "To be spawned, or ready, is not to run: find the first switch to `pong`.",
    # 4
    "send.title": "send on a full buffer",
    "send.summary": (
        "`send` gives bytes to the kernel, not to the other side. What it does when the kernel has no room left."
    ),
    "send.asked": (
        "You might say: when `send` returns, the other side has the bytes. At {at} `sender` calls it for the first "
        "time; nobody reads yet."
    ),
    "send.took": (
        "It returns at once, with {bytes} bytes: so many fitted into the kernel's buffer, which is not all there was "
        "to send. Nobody has received them, they only lie there."
    ),
    "send.full": (
        "The loop calls `send` with the rest. The buffer is full, and the kernel says so: EWOULDBLOCK. So `sender` "
        "arms its write watcher on fd {fd}: tell me when there is room."
    ),
    "send.parked": (
        "It parks at {at} and switches to the hub. This is the same as the wait of `recv`, for the opposite: for room, "
        "and not for data."
    ),
    "send.reads": "`receiver` takes {bytes} bytes out of the kernel. It wakes nobody by that; but now there is room.",
    "send.fired": (
        "The hub hears from the kernel that fd {fd} can be written to, {waited} after `sender` parked. So `{who}` can "
        "go on."
    ),
    "send.rest": (
        "Back in `send`, it tries again, and the kernel takes {bytes} bytes. `sendall` is just this loop: send, wait "
        "for room, send the rest."
    ),
    "send.remember": (
        "Remember: `send` fills a buffer. Once it is full, who sends is as slow as who reads, which is called "
        "backpressure. It slows down the one greenlet that sends, and no other."
    ),
    "send.bytes?": "How many bytes did the kernel take from the first `send`?",
    "send.bytes.right": "Right: {answer}, for which there was room. Always look at what `send` returns.",
    "send.bytes.hint": "Go to the end of the first `send`; the words of that step say it.",
    "send.read?": "When the first `send` returned, how much of it had `receiver` read?",
    "send.read.none": "Nothing",
    "send.read.part": "A part of it",
    "send.read.all": "All of it",
    "send.read.right": "Right. That `send` has returned says that the kernel has the bytes, and no more than that.",
    "send.read.hint": "Look for the end of the first `recv`. Is it before or after the end of the first `send`?",
    "send.park?": "Go to the step in which `sender` switches to the hub, because the buffer is full.",
    "send.park.right": "Right: from here on it waits for room, for {waited}.",
    "send.park.hint": "It has armed its write watcher one step before.",
    # 5
    "timeout.title": "Timeout: the timer that throws",
    "timeout.summary": (
        "A `Timeout` interrupts nobody. It is a timer, and when it is due, the hub throws into the one who waits."
    ),
    "timeout.started": (
        "A timeout looks like a hand that reaches in from outside and stops `recv`. In truth, all that happens at {at} "
        "is that a note is made: in {ms}, for `{who}`."
    ),
    "timeout.parked": (
        "`client` calls `recv`, nothing is there, and it parks. So it waits for two things at once: for fd {fd}, and "
        "for the end of its {ms}."
    ),
    "timeout.over": (
        "The {ms} are over, and nothing has come. It is the hub that sees this, at the only place where it sees "
        "anything: in its poll, while no greenlet runs."
    ),
    "timeout.ready": "So `client` is ready. But it has no data to go on with: an exception is waiting for its turn.",
    "timeout.thrown": (
        "The hub switches to it by throwing. `Timeout` is raised in `client` at {at}, in the middle of `recv`, where "
        "it stood; from there on it is an exception like any other."
    ),
    "timeout.second": "The loop tries once more. This time the note says: in {ms}.",
    "timeout.got": "The data comes first: `recv` gets {bytes} bytes, and nothing is thrown.",
    "timeout.cancelled": (
        "At the end of the `with`, at {at}, the timeout is cancelled, {left} before its time. Nothing remains that "
        "could go off later."
    ),
    "timeout.remember": (
        "Remember: a timeout is a timer and a throw, and both need the hub. So it ends a wait; a greenlet that "
        "computes and never waits it does not reach (lesson 7)."
    ),
    "timeout.raised?": "How many timeouts were over before they were cancelled?",
    "timeout.raised.right": "Right: {answer}, of {all} that were started.",
    "timeout.raised.hint": (
        "Each timeout that was started was either cancelled, or its time was over, and it was raised."
    ),
    "timeout.line?": "At which line was `Timeout` raised in `client`?",
    "timeout.line.start": "{at}, where it was started",
    "timeout.line.wait": "{at}, where `client` waited",
    "timeout.line.main": "{at}, where `main` waited",
    "timeout.line.right": (
        "Right: it is raised where the greenlet waits, whatever line that is. What it called meanwhile never returns."
    ),
    "timeout.line.hint": "Go to the step in which the hub throws, and look at the marked line.",
    "timeout.throw?": "Go to the step in which the hub switches to `client` by throwing `Timeout`.",
    "timeout.throw.right": (
        "Right: {gap} after the hub had seen that the time was over. In between it was ready, like anybody else."
    ),
    "timeout.throw.hint": "That its time is over is one step, that it is ready another one; look for the switch.",
}
