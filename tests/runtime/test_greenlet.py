"""Greenlets: starting, ending, waiting for the end, and being told of it."""

from __future__ import annotations

import gc
import weakref

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import AsyncResult, Event, Greenlet, GreenletExit, Lock, LoopExit, Queue, Timeout, socket


def settle() -> None:
    for _ in range(3):
        runtime.sleep(0)


def test_a_greenlet_gives_what_its_function_returns():
    worker = runtime.spawn(lambda a, b: a + b, 1, b=2)
    assert not worker.ready()
    assert worker.get() == 3
    assert worker.ready() and worker.successful() and worker.value == 3 and worker.exception is None


def test_an_exception_is_printed_and_kept_and_does_not_end_the_hub(capsys):
    def fail():
        raise ValueError("no")

    worker = runtime.spawn(fail)
    worker.join()
    assert isinstance(worker.exception, ValueError)
    assert worker.exc_info[0] is ValueError
    assert not worker.successful()
    printed = capsys.readouterr().err
    assert "ValueError: no" in printed
    assert "fail" in printed and worker.name in printed
    with pytest.raises(ValueError, match="no"):
        worker.get()
    assert runtime.spawn(lambda: 1).get() == 1


def test_greenlets_start_in_the_order_they_were_spawned():
    order = []
    runtime.joinall([runtime.spawn(order.append, number) for number in range(5)])
    assert order == [0, 1, 2, 3, 4]


def test_a_subclass_may_override_run():
    class Adder(Greenlet):
        def __init__(self, a, b):
            super().__init__()
            self.numbers = a, b

        def _run(self):
            return sum(self.numbers)

    assert Adder.spawn(1, 2).get() == 3


def test_what_cannot_be_called_is_refused_at_once():
    with pytest.raises(TypeError, match="5"):
        Greenlet(5)


def test_a_second_start_does_nothing():
    calls = []
    worker = Greenlet(calls.append, 1)
    assert not worker.started and not worker.dead
    worker.start()
    worker.start()
    assert worker.started
    worker.join()
    assert calls == [1]
    worker.start()
    settle()
    assert calls == [1] and not worker.started


def test_spawn_later_starts_after_its_time_and_keeps_the_loop_alive():
    worker = runtime.spawn_later(0.01, lambda: "late")
    runtime.sleep(0)
    assert not worker.ready()
    assert worker.get() == "late"


def test_a_greenlet_that_was_to_start_later_can_be_killed():
    calls = []
    worker = runtime.spawn_later(60, calls.append, 1)
    worker.kill()
    assert worker.dead and not calls
    assert isinstance(worker.value, GreenletExit)


def test_kill_before_the_first_switch_ends_it_without_running_it():
    calls = []
    worker = runtime.spawn(calls.append, 1)
    worker.kill()
    settle()
    assert worker.dead and not calls and worker.successful()


def test_kill_of_a_greenlet_that_never_was_started():
    worker = Greenlet(print)
    worker.kill(ValueError("never"))
    assert worker.dead
    with pytest.raises(ValueError, match="never"):
        worker.get()


def _recv(ready, one):
    ready.set()
    one.recv(1)


def _sleep(ready, _one):
    ready.set()
    runtime.sleep(60)


def _yield(ready, _one):
    ready.set()
    while True:
        runtime.sleep(0)


def _lock(ready, _one):
    lock = Lock()
    lock.acquire()
    ready.set()
    lock.acquire()


def _queue(ready, _one):
    ready.set()
    Queue().get()


def _put(ready, _one):
    queue = Queue(1)
    queue.put(1)
    ready.set()
    queue.put(2)


def _event(ready, _one):
    ready.set()
    Event().wait()


def _join(ready, _one):
    ready.set()
    other = runtime.spawn(runtime.sleep, 60)
    try:
        other.join()
    finally:
        other.kill()


def _get(ready, _one):
    ready.set()
    other = runtime.spawn(runtime.sleep, 60)
    try:
        other.get(timeout=60)
    finally:
        other.kill()


@pytest.mark.parametrize("wait", [_recv, _sleep, _yield, _lock, _queue, _put, _event, _join, _get])
def test_kill_ends_a_greenlet_whatever_it_waits_for(wait, hub):
    one, other = socket.socketpair()
    ready = Event()
    worker = runtime.spawn(wait, ready, one)
    ready.wait()
    settle()
    worker.kill()
    assert worker.dead and isinstance(worker.value, GreenletExit)
    one.close()
    other.close()
    assert hub.loop.active == 0


def test_kill_raises_what_it_is_told_to():
    worker = runtime.spawn(runtime.sleep, 60)
    settle()
    worker.kill(Timeout(7))
    assert isinstance(worker.exception, Timeout)


def test_a_greenlet_may_kill_itself():
    def suicide():
        runtime.getcurrent().kill()
        raise AssertionError

    worker = runtime.spawn(suicide)
    worker.join()
    assert isinstance(worker.value, GreenletExit)


def test_a_greenlet_that_kills_itself_without_waiting_goes_on_until_it_waits():
    seen = []

    def work():
        runtime.getcurrent().kill(block=False)
        seen.append("still here")
        runtime.sleep(60)

    worker = runtime.spawn(work)
    worker.join()
    assert seen == ["still here"] and isinstance(worker.value, GreenletExit)


def test_killall_of_a_list_with_the_killer_in_it_ends_the_others_too():
    other = runtime.spawn(runtime.sleep, 60)
    killer = runtime.spawn(lambda: runtime.killall([killer, other]))
    killer.join()
    other.join(timeout=5)
    assert isinstance(killer.value, GreenletExit) and isinstance(other.value, GreenletExit)


def test_what_a_greenlet_was_killed_with_before_it_ran_is_printed_too(capsys):
    runtime.spawn(print).kill(ValueError("too early"))
    assert "ValueError: too early" in capsys.readouterr().err


def test_a_kill_without_waiting_comes_with_the_next_round():
    worker = runtime.spawn(runtime.sleep, 60)
    settle()
    worker.kill(block=False)
    assert not worker.dead
    worker.join()
    assert worker.dead


def test_a_kill_of_a_greenlet_that_ended_does_nothing():
    worker = runtime.spawn(lambda: 1)
    worker.join()
    worker.kill()
    assert worker.value == 1


def test_a_second_kill_is_delivered_when_the_first_was_caught():
    seen = []

    def stubborn():
        for _ in range(2):
            try:
                runtime.sleep(60)
            except GreenletExit:
                seen.append("caught")

    worker = runtime.spawn(stubborn)
    settle()
    worker.kill(block=False)
    worker.kill(block=False)
    worker.join()
    assert seen == ["caught", "caught"]


def test_join_gives_up_after_its_timeout_and_raises_nothing():
    worker = runtime.spawn(runtime.sleep, 60)
    worker.join(timeout=0.01)
    assert not worker.ready()
    worker.kill()


def test_get_raises_timeout_when_the_time_is_over():
    worker = runtime.spawn(runtime.sleep, 60)
    with pytest.raises(Timeout):
        worker.get(timeout=0.01)
    with pytest.raises(Timeout):
        worker.get(block=False)
    worker.kill()


def test_get_takes_a_timeout_that_somebody_made():
    worker = runtime.spawn(runtime.sleep, 60)
    with pytest.raises(KeyError):
        worker.get(timeout=Timeout(0.001, KeyError))
    worker.kill()


def test_a_result_of_the_round_in_which_the_time_is_over_counts():
    assert runtime.spawn(lambda: 3).get(timeout=0) == 3
    worker = runtime.spawn(lambda: 1)
    assert runtime.joinall([worker], timeout=0) == [worker]


def test_arguments_may_have_any_name():
    assert runtime.spawn(dict, function=1).get() == {"function": 1}
    assert runtime.spawn_later(0, dict, seconds=1, function=2).get() == {"seconds": 1, "function": 2}
    assert runtime.with_timeout(1, dict, seconds=1, function=2) == {"seconds": 1, "function": 2}


def test_a_greenlet_cannot_wait_for_itself():
    worker = runtime.spawn(lambda: runtime.getcurrent().join())
    worker.join()
    assert isinstance(worker.exception, RuntimeError)


def test_links_are_called_with_the_greenlet_and_by_how_it_ended():
    seen = []

    def fail():
        raise ValueError

    good, bad = Greenlet(lambda: 1), Greenlet(fail)
    for worker in (good, bad):
        worker.link(lambda source: seen.append(("link", source)))
        worker.link_value(lambda source: seen.append(("value", source)))
        worker.link_exception(lambda source: seen.append(("exception", source)))
        worker.start()
    runtime.joinall([good, bad])
    settle()
    assert sorted(kind for kind, source in seen if source is good) == ["link", "value"]
    assert sorted(kind for kind, source in seen if source is bad) == ["exception", "link"]


def test_links_are_called_in_their_order_and_before_whoever_joined_goes_on():
    seen = []
    worker = runtime.spawn(lambda: 1)
    worker.rawlink(lambda source: seen.append("first"))
    worker.link(lambda source: seen.append("second"))
    worker.rawlink(lambda source: seen.append("third"))
    worker.join()
    assert seen == ["first", "second", "third"]


def test_a_link_to_what_cannot_be_called_is_refused_at_once():
    worker = Greenlet(print)
    for link in (worker.link, worker.rawlink, worker.link_value, worker.link_exception):
        with pytest.raises(TypeError, match="5"):
            link(5)


def test_a_result_can_be_linked_to_a_greenlet(capsys):
    good, bad = AsyncResult(), AsyncResult()
    runtime.spawn(lambda: 7).link(good)
    runtime.spawn(lambda: 1 / 0).link(bad)
    assert good.get(timeout=5) == 7
    with pytest.raises(ZeroDivisionError):
        bad.get(timeout=5)


def test_a_link_made_after_the_end_is_called_too():
    worker = runtime.spawn(lambda: 1)
    worker.join()
    seen = []
    worker.rawlink(seen.append)
    settle()
    assert seen == [worker]


def test_unlink_undoes_link():
    seen = []
    worker = Greenlet(lambda: 1)
    worker.link(seen.append)
    worker.rawlink(seen.append)
    worker.rawlink(seen.append)
    worker.unlink(seen.append)
    worker.unlink(seen.append)
    worker.start()
    worker.join()
    settle()
    assert seen == [worker]


def test_an_exception_in_a_link_is_printed_and_the_next_link_is_called(capsys):
    seen = []

    def bad(source):
        raise ValueError("bad link")

    worker = runtime.spawn(lambda: 1)
    worker.rawlink(bad)
    worker.rawlink(seen.append)
    worker.join()
    settle()
    assert seen == [worker]
    assert "bad link" in capsys.readouterr().err


def test_a_raw_link_that_waits_is_refused(capsys):
    worker = runtime.spawn(lambda: 1)
    worker.rawlink(lambda source: runtime.sleep(1))
    worker.join()
    settle()
    assert "must not wait" in capsys.readouterr().err


def test_joinall_gives_the_ones_that_ended_within_its_time():
    quick, slow = runtime.spawn(lambda: 1), runtime.spawn(runtime.sleep, 60)
    assert runtime.joinall([quick, slow], timeout=0.02) == [quick]
    runtime.killall([slow])
    assert slow.dead


def test_joinall_raises_the_first_error_if_asked_to():
    def fail():
        raise KeyError("first")

    with pytest.raises(KeyError):
        runtime.joinall([runtime.spawn(fail)], raise_error=True)


def test_joinall_of_a_count_waits_for_so_many():
    quick, slow = runtime.spawn(lambda: 1), runtime.spawn(runtime.sleep, 60)
    assert runtime.joinall([slow, quick], count=1) == [quick]
    slow.kill()


def test_killall_says_when_some_refuse_to_end():
    release = Event()

    def stubborn():
        try:
            runtime.sleep(60)
        except GreenletExit:
            release.wait()

    worker = runtime.spawn(stubborn)
    settle()
    with pytest.raises(Timeout):
        runtime.killall([worker], timeout=0.01)
    release.set()
    worker.join()


def test_a_name_of_its_own_replaces_the_functions():
    worker = Greenlet(settle)
    worker.start()
    assert worker.name.startswith("settle #")
    worker.name = "walker"
    assert worker.name == "walker" and "walker" in repr(worker)
    worker.join()


def _fail(_ready, _one):
    runtime.sleep(0)
    raise ValueError


@pytest.mark.parametrize("work", [_sleep, _event, _recv, _yield, _fail])
def test_a_greenlet_that_ended_leaves_nothing_for_the_garbage_collector(work, pair, capsys):
    def once():
        worker = runtime.spawn(work, Event(), pair[0])
        settle()
        worker.kill()

    once()
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            once()
        settle()
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_wait_that_timed_out_leaves_nothing_for_the_garbage_collector():
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            assert Event().wait(0) is False
        runtime.sleep(0)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_greenlet_that_ended_is_freed_without_the_garbage_collector():
    gc.collect()
    gc.disable()
    try:
        worker = runtime.spawn(lambda: 1)
        worker.join()
        reference = weakref.ref(worker)
        del worker
        settle()
        assert reference() is None
    finally:
        gc.enable()


def test_nobody_left_to_wake_anybody_raises_loop_exit_in_main_and_says_who_waits(capsys):
    event = Event()
    queue = Queue()
    lost = Greenlet(queue.get)
    lost.name = "the lost one"
    lost.start()
    settle()
    with pytest.raises(LoopExit) as caught:
        event.wait()
    message = str(caught.value)
    assert "main: an event" in message and f"{__file__}:" in message
    assert "the lost one: an item of a queue" in message
    queue.put(1)
    assert lost.get() == 1


def test_system_exit_and_ctrl_c_in_a_greenlet_reach_main():
    def leave():
        raise SystemExit(3)

    def interrupt():
        raise KeyboardInterrupt

    runtime.spawn(leave)
    with pytest.raises(SystemExit):
        runtime.sleep(60)
    runtime.spawn(interrupt)
    with pytest.raises(KeyboardInterrupt):
        runtime.sleep(60)


def test_a_function_may_have_parameters_named_as_spawns_own():
    def work(function, seconds=0):
        return function, seconds

    assert runtime.spawn(work, function=1, seconds=2).get() == (1, 2)
    assert runtime.spawn_later(0, work, function=1, seconds=2).get() == (1, 2)


def test_what_cannot_be_called_is_refused_when_it_is_linked_and_not_when_the_greenlet_ends():
    greenlet = runtime.spawn(runtime.sleep)
    for link in (greenlet.link, greenlet.link_value, greenlet.link_exception, greenlet.rawlink):
        with pytest.raises(TypeError, match="cannot be called"):
            link(None)
    greenlet.get()


def test_killed_before_it_ran_with_an_error_of_ones_own_says_so(capsys):
    greenlet = runtime.spawn(runtime.sleep)
    greenlet.kill(ValueError("not today"))
    assert isinstance(greenlet.exception, ValueError)
    assert "not today" in capsys.readouterr().err


def test_who_goes_on_after_join_finds_the_links_started():
    order = []
    greenlet = runtime.spawn(runtime.sleep)
    greenlet.link(lambda _: order.append("link"))
    waiter = runtime.spawn(lambda: (greenlet.join(), order.append("joined")))
    waiter.join()
    assert order == ["link", "joined"]


def test_links_may_be_of_ones_own_kind_and_all_be_undone():
    seen = []

    class Noted:
        def __init__(self, callback):
            self.callback = callback

        def __call__(self, source):
            seen.append(self.callback)

    worker = runtime.spawn(lambda: 1)
    worker.link("all", SpawnedLink=Noted)
    worker.link_value("value", SpawnedLink=Noted)
    worker.link_exception("exception", SpawnedLink=Noted)
    assert worker.has_links()
    worker.join()
    settle()
    assert seen == ["all", "value", "exception"] and not worker.has_links()
    worker = runtime.spawn(lambda: 1)
    worker.link(seen.append)
    worker.unlink_all()
    worker.unlink("never linked")
    worker.join()
    settle()
    assert len(seen) == 3


def test_start_later_of_a_greenlet_made_before():
    worker = Greenlet(lambda: "late")
    worker.start_later(0.005)
    worker.start()
    assert worker.started
    settle()
    assert not worker.ready()
    assert worker.get() == "late"


def test_throw_of_what_has_not_run_ends_it_and_of_what_has_ended_does_nothing(capsys):
    worker = runtime.spawn(lambda: 1)
    worker.throw(ValueError("early"))
    assert worker.dead and isinstance(worker.exception, ValueError)
    worker.throw()
    other = Greenlet(lambda: 1)
    other.throw(KeyError, "x")
    assert isinstance(other.exception, KeyError)
    settle()


def test_throw_from_a_callback_of_the_hub_raises_at_once(hub):
    worker = runtime.spawn(runtime.sleep, 60)
    settle()
    hub.run_callback(worker.throw, KeyError, KeyError("now"))
    settle()
    assert isinstance(worker.exception, KeyError)


def test_who_spawned_whom_and_what_they_share():
    seen = {}

    def grandchild():
        me = runtime.getcurrent()
        me.spawn_tree_locals["seen"] = True
        seen["locals"] = me.spawn_tree_locals
        seen["spawner"] = me.spawning_greenlet()

    def child():
        runtime.spawn(grandchild).join()
        raw = runtime.spawn_raw(lambda: None)
        seen["raw"] = raw.spawn_tree_locals

    worker, other = runtime.spawn(child), runtime.spawn(lambda: None)
    runtime.joinall([worker, other])
    assert worker.spawning_greenlet() is runtime.getcurrent()
    assert seen["locals"] is worker.spawn_tree_locals is seen["raw"] and worker.spawn_tree_locals == {"seen": True}
    assert seen["spawner"] is worker
    assert other.spawn_tree_locals == {} and other.spawn_tree_locals is not worker.spawn_tree_locals
    reference = worker.spawning_greenlet
    assert isinstance(reference, weakref.ref) and worker.spawning_stack is None


def test_small_numbers_are_used_again():
    first = Greenlet(print)
    number = first.minimal_ident
    second = Greenlet(print)
    assert second.minimal_ident != number and first.minimal_ident == number
    del first
    assert Greenlet(print).minimal_ident == number


def test_what_it_is_called_with_and_its_loop_are_known(hub):
    worker = Greenlet(print, 1, sep="x")
    assert worker.args == (1,) and worker.kwargs == {"sep": "x"} and worker.loop is hub.loop
    worker.kill()
    assert worker.args == () and worker.kwargs == {}
    assert Greenlet[int].__origin__ is Greenlet
    empty = Greenlet()
    empty.start()
    assert empty.get() is None


def test_a_subclass_may_override_run_init_and_kill():
    seen = []

    class Worker(Greenlet):
        def __init__(self, thing, *arguments):
            Greenlet.__init__(self)
            self.thing = thing

        def run(self):
            seen.append(("run", self.thing))

        def kill(self, *arguments, **keywords):
            seen.append(("kill", self.thing))
            super().kill(*arguments, **keywords)

    worker = Worker.spawn("a", 1)
    worker.join()
    assert worker.dead and worker.ready() and worker.successful()
    worker = Worker("b")
    worker.start()
    runtime.killall([worker])
    assert worker.dead and seen == [("run", "a"), ("kill", "b")]


def test_an_overridden_run_that_fails_is_told_as_any(capsys):
    class Fails(Greenlet):
        def run(self):
            super().run()
            raise ValueError("after all")

    class FailsAtOnce(Greenlet):
        def run(self):
            raise ValueError("at once")

    worker = FailsAtOnce.spawn()
    worker.join()
    assert isinstance(worker.exception, ValueError)
    worker = Fails.spawn(lambda: 5)
    worker.join()
    settle()
    assert worker.ready()


def test_a_function_that_was_set_by_hand_is_run():
    worker = Greenlet()
    worker._run = lambda: 7
    worker.start()
    assert worker.get() == 7


def test_a_greenlet_may_be_the_scope_of_what_it_does(capsys):
    with runtime.spawn(runtime.sleep, 0.001) as worker:
        assert not worker.dead
    assert worker.dead and worker.value is None
    with pytest.raises(KeyError), runtime.spawn(runtime.sleep, 60) as worker:
        raise KeyError
    assert isinstance(worker.exception, KeyError)
    with pytest.raises(Timeout), runtime.spawn(runtime.sleep, 60) as worker:
        Timeout.start_new(0.001)
    assert isinstance(worker.value, GreenletExit)


def test_who_wants_to_know_is_told_of_every_start():
    seen = []
    Greenlet.add_spawn_callback(seen.append)
    try:
        workers = [runtime.spawn(int), runtime.spawn_later(0, int)]
    finally:
        Greenlet.remove_spawn_callback(seen.append)
    runtime.spawn(int)
    assert seen == workers
    runtime.joinall(workers)


def test_a_bare_greenlet_runs_and_its_errors_are_printed(capsys):
    seen = []
    raw = runtime.spawn_raw(lambda *arguments, **keywords: seen.append((arguments, keywords)), 1, a=2)
    assert type(raw) is not Greenlet and not raw.dead
    runtime.spawn_raw(lambda: 1 / 0)
    settle()
    assert seen == [((1,), {"a": 2})] and raw.dead
    assert "ZeroDivisionError" in capsys.readouterr().err
    with pytest.raises(TypeError, match="5"):
        runtime.spawn_raw(5)


def test_killall_ends_bare_greenlets_too_and_those_that_never_ran_never_do():
    seen = []
    waiting, fresh = runtime.spawn_raw(runtime.sleep, 60), runtime.spawn(seen.append, 1)
    settle()
    fresh, unborn = runtime.spawn(seen.append, 2), runtime.spawn_raw(seen.append, 3)
    runtime.killall({waiting, fresh, unborn})
    assert waiting.dead and fresh.dead and unborn.dead and seen == [1]
    runtime.killall([])
    runtime.killall(runtime.spawn(int) for _ in range(2))


def test_killall_without_waiting_comes_with_the_next_round():
    worker = runtime.spawn(runtime.sleep, 60)
    settle()
    runtime.killall([worker], KeyError, block=False)
    assert not worker.dead
    worker.join()
    assert isinstance(worker.exception, KeyError)


def test_joinall_of_some_that_ended_before_and_of_none():
    ended = runtime.spawn(int)
    ended.join()
    other = runtime.spawn(lambda: 1)
    assert runtime.joinall([other, ended]) == [ended, other]
    assert runtime.joinall([]) == []
    assert runtime.joinall([ended], count=0) == []


def test_joinall_raises_as_soon_as_one_has_failed():
    def fail():
        raise KeyError("soon")

    slow = runtime.spawn(runtime.sleep, 60)
    with pytest.raises(KeyError):
        runtime.joinall([slow, runtime.spawn(fail)], raise_error=True)
    assert not slow.dead
    slow.kill()


def test_joinall_takes_other_things_that_can_be_waited_for():
    event = Event()
    assert runtime.joinall([event], timeout=0) == []
    worker = runtime.spawn(event.set)
    assert runtime.joinall([event, worker]) == [event, worker]


def test_a_kill_within_joinall_leaves_nobody_in_the_lines():
    slow = runtime.spawn(runtime.sleep, 60)
    joiners = [runtime.spawn(runtime.joinall, [slow]), runtime.spawn(slow.join), runtime.spawn(slow.get)]
    settle()
    runtime.killall(joiners)
    assert not slow._joiners
    slow.kill()


def test_kill_of_one_of_any_sort_waits_for_nothing():
    worker, raw = runtime.spawn(runtime.sleep, 60), runtime.spawn_raw(runtime.sleep, 60)
    settle()
    for one in (worker, raw):
        runtime.kill(one, KeyError if one is worker else GreenletExit)
        assert not one.dead
    settle()
    assert isinstance(worker.exception, KeyError) and raw.dead
