"""The one thing pyproject.toml cannot say: C extensions with compiler flags."""

import os

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            name,
            sources=sources,
            depends=depends,
            extra_compile_args=["-O2", "-std=c11", "-Wall", "-Wextra", "-fvisibility=hidden"],
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
                    "greenscope/trace/_sites.c",
                    "greenscope/trace/_notes.c",
                    "greenscope/trace/_reserve.c",
                    "greenscope/trace/_watchdog.c",
                    "greenscope/trace/_watchstalls.c",
                    "greenscope/trace/_stackwalk.c",
                    "greenscope/trace/_watchstacks.c",
                    "greenscope/trace/_watchserver.c",
                    "greenscope/trace/_snapshots.c",
                ],
                ["greenscope/trace/_ring.h", "greenscope/trace/_ring_layout.h", "greenscope/trace/_watch.h"],
            ),
            ("greenscope.runtime._attempt", ["greenscope/runtime/_attempt.c"], []),
            (
                "greenscope.runtime._parking",
                ["greenscope/runtime/_parking.c"],
                ["greenscope/runtime/_parking.h", "greenscope/runtime/_parking_entries.h"],
            ),
            ("greenscope.runtime._stacks", ["greenscope/runtime/_stacks.c"], []),
            ("greenscope.runtime._local", ["greenscope/runtime/_local.c"], []),
            ("greenscope.runtime._queue_base", ["greenscope/runtime/_queue_base.c"], []),
        )
    ]
)
