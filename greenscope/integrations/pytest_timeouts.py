"""pytest-timeout: when a test's time is over, its recording is kept before anybody is told.

Owns ``timeouts_told``. pytest-timeout ends a test in one of two ways. By a signal, whose handler raises in whatever
runs; by then it is late to ask who waited for what, so the copy is made first. Where a greenlet runs that is not
main, and not the hub, that greenlet alone would hear of it: main is told as well. Or by a thread, which
prints and ends the process: there is no report, so what it would say is printed before. Without pytest-timeout
there is nothing to do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from time import sleep
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenscope.integrations.pytest_recordings import Recordings

__all__ = ["timeouts_told"]


def timeouts_told(recordings: Recordings) -> Callable[[], None]:
    """Have ``recordings`` told of timeouts, from here on.

    Returns:
        What undoes it.
    """
    module: Any = sys.modules.get("pytest_timeout")
    if module is None:
        return lambda: None
    by_signal, by_thread = module.timeout_sigalrm, module.timeout_timer

    def on_signal(item: Any, settings: Any) -> None:
        __tracebackhide__ = True
        if recordings.busy:  # the test is over, and its report being made
            return
        recordings.at_timeout()
        try:
            by_signal(item, settings)
        except BaseException as error:
            _tell_main(error)
            raise

    def on_thread(item: Any, settings: Any) -> None:
        while recordings.busy:
            sleep(0.01)
        recordings.at_timeout()
        with suppress(Exception):
            capture = item.config.pluginmanager.getplugin("capturemanager")
            if capture is not None:
                capture.suspend_global_capture(item)
            for title, text in recordings.told("timeout"):
                sys.stderr.write(f"\n{f' {title} ':-^80}\n{text}\n")
            sys.stderr.flush()
        by_thread(item, settings)

    module.timeout_sigalrm, module.timeout_timer = on_signal, on_thread

    def undo() -> None:
        module.timeout_sigalrm, module.timeout_timer = by_signal, by_thread

    return undo


def _tell_main(error: BaseException) -> None:
    """Raise in the main greenlet what is raised in another one."""
    if "greenscope.runtime.hub" not in sys.modules:
        return
    from greenscope.runtime.current import current
    from greenscope.runtime.waiter import running

    hub, me = current.hub, running()
    if hub is not None and me is not hub and me is not hub.parent:
        hub.handle_system_error(type(error), error)
