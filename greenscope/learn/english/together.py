"""Lessons 6 to 10, in English: what greenlets do to one another."""

from __future__ import annotations

__all__ = ["TOGETHER"]

TOGETHER: dict[str, str] = {
    # 6
    "close.title": "close in another greenlet",
    "close.summary": (
        "One greenlet waits in `recv`, another one closes the socket. The one that waits is woken, by EBADF."
    ),
    "close.parked": (
        "`reader` waits at {at} for fd {fd}. What if somebody closes that socket meanwhile? A thread in a blocking "
        "`recv` may then wait for ever, or next read from a stranger's connection that was given the same number."
    ),
    "close.ready": (
        "At {at} `{by}` closes the socket. Before the descriptor goes, whoever waits on it is looked up: `reader` "
        "becomes ready, and what awaits it is an exception."
    ),
    "close.closed": (
        "Then the watcher is closed, and the descriptor after it. The number {fd} may be given to another file now: "
        "nobody waits on it any more."
    ),
    "close.goes_on": (
        "`{who}` runs on to its end. Closing is no switch: `reader` stands in the ready queue and has to wait for its "
        "turn."
    ),
    "close.thrown": (
        "The hub switches to `reader` by throwing: EBADF is raised in the middle of `recv`, at {at}, {gap} after the "
        "socket was closed."
    ),
    "close.failed": (
        "So `recv` gave neither data nor the end of the stream. It failed, with an `OSError` that the program can "
        "catch."
    ),
    "close.remember": (
        "Remember: to close wakes who waits, with an error, and no wait outlives its descriptor. Whoever reads from "
        "what others may close has to expect EBADF."
    ),
    "close.fd?": "Which descriptor did `closer` close?",
    "close.fd.right": "Right: fd {answer}. From here on this number may stand for something else.",
    "close.fd.hint": "Look at what `reader` waits for, or at the step in which a watcher is closed.",
    "close.who?": "Who made `reader` ready?",
    "close.who.right": (
        "Right: `{who}` did, on its way through `close`. Neither the kernel nor the hub had a part in it."
    ),
    "close.who.hint": "Look at who runs at the step in which `reader` becomes ready.",
    "close.throw?": "Go to the step in which EBADF is raised in `reader`.",
    "close.throw.right": "Right: raising it is the switch itself, and it happens where `reader` stood.",
    "close.throw.hint": "The close itself raises nothing: `reader` has to get its turn first.",
    # 7
    "hog.title": "A greenlet that hogs the hub",
    "hog.summary": "A timer does not interrupt. A greenlet that computes and never waits keeps everybody else waiting.",
    "hog.punctual": (
        "`ticker` wants to tick every {ms}. A timer is a timer, one might think, whatever the others do. This first "
        "tick came {late} late, which is as good as on time."
    ),
    "hog.armed": "It starts its timer again: {ms} from now. Keep that in mind, and look at who is next to run.",
    "hog.runs": (
        "`hog` goes on at {at}, and begins to compute. It calls nothing that waits, and so the hub will not get its "
        "turn before `hog` gives it."
    ),
    "hog.seen": (
        "The hub cannot notice: it does not run. Who notices is greenscope's watchdog, a thread of its own beside it: "
        "`{who}` has run for {ran} without a switch."
    ),
    "hog.ends": "After {ran} `hog` is done, and the hub has its turn. The timer of `ticker` has long been due.",
    "hog.fired": (
        "Now the hub looks at its timers and finds it: {late} late. A timer says when to be woken at the earliest, and "
        "never exactly when."
    ),
    "hog.remember": (
        "Remember: in a green program, whoever computes for long stops everybody: timers, sockets, timeouts. Give way "
        "in long loops with `sleep(0)`, or have a thread or a process do the work (lesson 10)."
    ),
    "hog.ticks?": "How many times did `ticker` run after `hog` had begun to compute, and before that was done?",
    "hog.ticks.right": "Right: {answer}. Others run only when whoever runs gives way.",
    "hog.ticks.hint": "Count the switches to `ticker` between the step in which `hog` goes on and its end.",
    "hog.late?": "The timer that `ticker` had started before `hog` computed: how late did it fire?",
    "hog.late.little": "Less than 20 ms",
    "hog.late.more": "20 to 100 ms",
    "hog.late.much": "More than 100 ms",
    "hog.late.right": "Right: {late}. It is as late as the run that it falls into is long.",
    "hog.late.hint": "When was it started, for how long, and when did the hub say that it is due?",
    "hog.back?": "Go to the step in which `hog` first gives the hub its turn after it began to compute.",
    "hog.back.right": "Right: until here nobody else could run, for {ran}.",
    "hog.back.hint": "Somebody gives the hub its turn when it parks, gives way or ends.",
    # 8
    "deadlock.title": "A deadlock of two locks, and LoopExit",
    "deadlock.summary": (
        "Each of two greenlets waits for what the other one holds. The hub finds that nothing can wake anybody."
    ),
    "deadlock.first": (
        "`anna` takes lock {lock}. What could go wrong with a lock? Sooner or later whoever holds it lets go of it, "
        "and the next one gets it."
    ),
    "deadlock.second": "`ben` takes lock {lock}. Now each of them holds one, and each of them will need the other's.",
    "deadlock.wants": (
        "At {at} `{who}` asks for lock {lock}, which `{holder}` holds. So it parks, without a deadline: `{holder}` "
        "will go on, and let go of it."
    ),
    "deadlock.circle": (
        "But `{who}` asks for lock {lock}, which `{holder}` holds, and parks at {at}. That closes the circle: each "
        "waits for what the other gives only when it has got its own."
    ),
    "deadlock.over": (
        "The hub has nobody who is ready. No timer runs, no watcher is armed, no other thread could bring news: to "
        "block in the kernel now would be for ever. All {count} greenlets wait, and so it gives up."
    ),
    "deadlock.thrown": (
        "LoopExit is raised in `main`, at {at}, where it waits for both. It ended this program, and its text says who "
        "waits for what, and at which line."
    ),
    "deadlock.remember": (
        "Remember: take locks in the same order everywhere. And do not count on LoopExit: a service that listens "
        "always has a watcher armed, so there two greenlets hang silently, for ever (`greenscope diagnose` finds them)."
    ),
    "deadlock.count?": "How many greenlets waited when the hub gave up?",
    "deadlock.count.right": "Right: {answer}. `main` is one of them, for it waits for the others to end.",
    "deadlock.count.hint": "Count those that are parked at the step in which LoopExit is announced, `main` too.",
    "deadlock.holder?": "Who held the lock that the last one to park was waiting for?",
    "deadlock.holder.right": "Right: `{holder}` held it, and was waiting itself.",
    "deadlock.holder.hint": (
        "Look at the step in which the circle closes: the lock that is waited for shows its holder."
    ),
    "deadlock.closes?": "Go to the step after which nobody could go on any more.",
    "deadlock.closes.right": (
        "Right: before it, one of them could still have let go. It took the hub {waited} more to see it."
    ),
    "deadlock.closes.hint": "That is before the hub gives up: the last of the two that parks.",
    # 9
    "fairness.title": "Events, queues and fairness",
    "fairness.summary": (
        "Whoever has waited longest is served first; whoever need not wait keeps running. Look at the order in which "
        "jobs were printed."
    ),
    "fairness.waits": (
        "Several workers wait for one event, and `{who}` is the first to. Who comes first when it is set? Many would "
        "call that a race, and say: whoever happens to."
    ),
    "fairness.opened": "`{by}` sets the event at {at}, and whoever has waited longest is ready first: `{who}`.",
    "fairness.set": (
        "The others follow in the order in which they came. All that it takes to set an event is to put {count} names "
        "into the ready queue: nobody has run yet, `{who}` goes on."
    ),
    "fairness.begins": (
        "Only when `main` waits itself do they get their turns, in the same order. `{who}` is the first."
    ),
    "fairness.queues": (
        "It asks the queue for a job. None is there, so it parks once more, and the others will line up behind it."
    ),
    "fairness.given": "`{by}` puts a job into the queue, and `{who}`, which has waited longest, is ready.",
    "fairness.put": (
        "Look at the queue: nothing is left in it. The job is for the one that was woken, and nobody who comes by in "
        "between can take it away."
    ),
    "fairness.kept": (
        "One job after another finds its worker, until nobody waits any more. This one stays in the queue."
    ),
    "fairness.runs": "`{who}` was ready first and runs first, with the first job.",
    "fairness.more": (
        "And here it is not as one might expect. It asks for the next job and has it at once, for one is there: it "
        "need not wait, so it does not switch, while those who were woken after it stand in the ready queue."
    ),
    "fairness.remember": (
        "Remember: of those who wait, the one that has waited longest is first. That is fair to those who wait; a "
        "greenlet that always finds something to do goes on until it has to."
    ),
    "fairness.woken?": "How many greenlets did `gate.set()` make ready?",
    "fairness.woken.right": "Right: {answer}, all who waited for it. A queue's `put` wakes one.",
    "fairness.woken.hint": (
        "Count the steps in which `main` makes somebody ready, up to the one that says that the event is set."
    ),
    "fairness.next?": "`main` has put the first job into the queue, and `{woken}` is ready. Who runs next?",
    "fairness.next.right": "Right: `{who}` runs. To wake somebody is not to switch to it.",
    "fairness.next.hint": "Go on step by step, and look at who runs.",
    "fairness.second?": "Go to the step in which the second job finds its worker.",
    "fairness.second.right": "Right: `{who}` has waited longest by now.",
    "fairness.second.hint": "The first job has made one worker ready; find the next step of that kind.",
    # 10
    "threadpool.title": "A call in a thread",
    "threadpool.summary": "What blocks and cannot be made green is done by another thread. The hub goes on meanwhile.",
    "threadpool.put": (
        "The standard library's `time.sleep` blocks the thread, and everybody with it, as in lesson 7. It looks as if "
        "one must not call it at all. But at {at} `slow` does not make the call: it gives it to a pool of threads."
    ),
    "threadpool.parked": (
        "Then it parks, and waits for that thread. To the hub this is a wait like any other: nobody but `{who}` stops."
    ),
    "threadpool.blocks": (
        "The hub blocks in the kernel, until a timer is due, something can be read or written, or a thread sends word. "
        "For the latter it has a watcher, too."
    ),
    "threadpool.ticks": (
        "`{who}` ticks on time, while the other thread is stuck in its call: {count} times until that is over."
    ),
    "threadpool.done": (
        "The thread is done. It may not touch greenlets, which belong to the hub's thread; so it only sends word, and "
        "the hub hears it in its poll."
    ),
    "threadpool.ready": "It is the hub, then, that makes `{who}` ready: {waited} after it gave its call away.",
    "threadpool.runs": "`{who}` goes on at {at} with the call's result, as if it had made the call itself.",
    "threadpool.remember": (
        "Remember: what blocks and cannot be made green belongs in a thread. That helps against waiting; against "
        "computing it helps as far as the GIL lets it, and a process helps more."
    ),
    "threadpool.ticks?": "How many times did `ticker` run while the other thread worked?",
    "threadpool.ticks.right": "Right: {answer}. In lesson 7 it was none.",
    "threadpool.ticks.hint": (
        "Count the switches to `ticker` from the step that gives the call away to the one that says it is over."
    ),
    "threadpool.who?": "Who made `slow` ready when the thread was done?",
    "threadpool.who.thread": "The thread, which switched to it",
    "threadpool.who.hub": "The hub, which heard from the thread",
    "threadpool.who.other": "`ticker`, when it gave way",
    "threadpool.who.right": (
        "Right: a thread can only send word. Who runs next is decided by the hub, in its own thread."
    ),
    "threadpool.who.hint": "Look at who runs at the step in which `slow` becomes ready.",
    "threadpool.heard?": "Go to the step in which the hub hears that the thread is done.",
    "threadpool.heard.right": "Right: {waited} after the call was given away.",
    "threadpool.heard.hint": "It comes before `slow` is ready: the call is over, and the hub is told.",
}
