"""The one thing pyproject.toml cannot say: C extensions with compiler flags."""

import os

from setuptools import Extension, setup

# A record's code is fetched anew each time, so in few lines of the cache: nothing is on the way to a function
# of the interpreter's, and no function begins in the middle of a line.
FLAGS = ["-O2", "-fno-plt", "-falign-functions=64", "-std=c11", "-Wall", "-Wextra", "-fvisibility=hidden"]


def sanitizers(name: str) -> list[str]:
    """Flags of a build for ``tools/sanitize``; none otherwise."""
    if os.environ.get("GREENSCOPE_SANITIZE") != "1":
        return []
    flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g"]
    # greenlet copies stacks away and back, over the redzones of the frames that switch, and of those below.
    return flags if name.startswith("greenscope.trace.") else [*flags, "--param=asan-stack=0"]


setup(
    ext_modules=[
        Extension(
            name,
            sources=sources,
            depends=depends,
            extra_compile_args=[*FLAGS, *sanitizers(name)],
            extra_link_args=sanitizers(name),
            # Each has a twin in Python that does the same, slowly (but for _stacks.c, without which there
            # is just nothing kept), so an interpreter without a compiler still gets a greenscope. Where we
            # build it ourselves (the Makefile), silence about a failed compilation would hide a bug.
            optional=os.environ.get("GREENSCOPE_REQUIRE_EXTENSION") != "1",
        )
        for name, sources, depends in (
            (
                "greenscope.trace._ring",
                [
                    "greenscope/trace/_ring.c",
                    "greenscope/trace/_ring_api.c",
                    "greenscope/trace/_ring_follow.c",
                    "greenscope/trace/_clock.c",
                    "greenscope/trace/_sites.c",
                    "greenscope/trace/_notes.c",
                    "greenscope/trace/_figures.c",
                    "greenscope/trace/_reserve.c",
                    "greenscope/trace/_watchdog.c",
                    "greenscope/trace/_watchforks.c",
                    "greenscope/trace/_watchstalls.c",
                    "greenscope/trace/_watchcalls.c",
                    "greenscope/trace/_stackwalk.c",
                    "greenscope/trace/_watchstacks.c",
                    "greenscope/trace/_watchserver.c",
                    "greenscope/trace/_snapshots.c",
                ],
                [
                    "greenscope/trace/_ring.h",
                    "greenscope/trace/_ring_api.h",
                    "greenscope/trace/_ring_follow.h",
                    "greenscope/trace/_ring_steps.h",
                    "greenscope/trace/_clock.h",
                    "greenscope/trace/_hot.h",
                    "greenscope/trace/_frames.h",
                    "greenscope/trace/_ring_layout.h",
                    "greenscope/trace/_watch.h",
                ],
            ),
            ("greenscope.runtime._attempt", ["greenscope/runtime/_attempt.c"], []),
            (
                "greenscope.runtime._parking",
                ["greenscope/runtime/_parking.c"],
                [
                    "greenscope/runtime/_parking.h",
                    "greenscope/runtime/_parking_entries.h",
                    "greenscope/trace/_ring_api.h",
                ],
            ),
            ("greenscope.runtime._stacks", ["greenscope/runtime/_stacks.c"], []),
            ("greenscope.runtime._local", ["greenscope/runtime/_local.c"], []),
            ("greenscope.runtime._queue_base", ["greenscope/runtime/_queue_base.c"], []),
            (
                "greenscope.integrations.gevent._gevent",
                [
                    "greenscope/integrations/gevent/_gevent.c",
                    "greenscope/integrations/gevent/_greenlets.c",
                    "greenscope/integrations/gevent/_jobs.c",
                    "greenscope/integrations/gevent/_names.c",
                    "greenscope/integrations/gevent/_peers.c",
                    "greenscope/integrations/gevent/_resources.c",
                    "greenscope/integrations/gevent/_switches.c",
                    "greenscope/integrations/gevent/_told.c",
                    "greenscope/integrations/gevent/_watchers.c",
                ],
                ["greenscope/integrations/gevent/_gevent.h", "greenscope/trace/_ring_follow.h"],
            ),
        )
    ]
)
