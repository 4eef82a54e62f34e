"""What ``greenscope demo`` shows: a green shop service, its backend, and its customers, each a process.

``service`` is an ordinary program on greenscope.runtime and is what is traced; ``backend`` and
``customers`` are plain asyncio and stand for the world outside. Each ends when the process that
started it does: its standard input is a pipe from there, and the pipe's end is the end.
"""
