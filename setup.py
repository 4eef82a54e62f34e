"""The one thing pyproject.toml cannot say: a C extension with compiler flags."""

import os

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "greenscope.trace._ring",
            sources=["greenscope/trace/_ring.c"],
            depends=["greenscope/trace/_ring_layout.h"],
            extra_compile_args=["-O2", "-std=c11", "-Wall", "-Wextra"],
            # ring_python.py does the same work, slowly, so an interpreter without a compiler
            # still gets a greenscope. Where we build it ourselves (the Makefile), silence
            # about a failed compilation would hide a bug.
            optional=os.environ.get("GREENSCOPE_REQUIRE_EXTENSION") != "1",
        )
    ]
)
