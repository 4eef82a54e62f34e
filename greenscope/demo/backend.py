"""The shop's backend: a database that is slow now and then, a licence server that never answers, and an
archive that reads slowly. Prints its ports as JSON, then serves until its parent is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import Callable, Coroutine

from greenscope.demo.parent import end_with_parent

ANSWER = b"row " * 64 + b"\n"


async def database(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A line in, a line out after 2 to 25 ms; one in forty takes 250 ms, longer than the shop waits."""
    while await reader.readline():
        await asyncio.sleep(0.25 if random.random() < 1 / 40 else random.uniform(0.002, 0.025))
        writer.write(ANSWER)
        await writer.drain()


async def licences(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Takes whatever comes, and never answers."""
    while await reader.read(1024):
        pass


async def archive(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Reads 256 KiB, rests, and reads on: whoever sends more has to wait."""
    while await reader.read(1 << 18):  # noqa: ASYNC110 - it rests on purpose
        await asyncio.sleep(0.05)


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]


def until_gone(handler: Handler) -> Handler:
    """The handler, for peers that may leave at any moment."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await handler(reader, writer)
        writer.close()

    return serve


async def main() -> None:
    """Listen, say where, serve."""
    ports = {}
    for handler in (database, licences, archive):
        server = await asyncio.start_server(until_gone(handler), "127.0.0.1", 0)
        ports[handler.__name__] = server.sockets[0].getsockname()[1]
    print(json.dumps(ports), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    end_with_parent()
    asyncio.run(main())
