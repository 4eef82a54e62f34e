"""The shop's backend: a database that is slow now and then, a licence server that never answers, and an
archive that reads slowly. Prints its ports as JSON, then serves until its parent is gone.
"""

from __future__ import annotations

import asyncio
import json
import random

from greenscope.demo.parent import end_with_parent

ANSWER = b"row " * 64 + b"\n"


async def database(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A line in, a line out after 2 to 25 ms; one in forty takes 250 ms, longer than the shop waits."""
    while await reader.readline():
        await asyncio.sleep(0.25 if random.random() < 1 / 40 else random.uniform(0.002, 0.025))
        writer.write(ANSWER)
        await writer.drain()
    writer.close()


async def licences(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes whatever comes, and never answers."""
    while await reader.read(1024):
        pass
    writer.close()


async def archive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads 256 KiB, rests, and reads on: whoever sends more has to wait."""
    while await reader.read(1 << 18):  # noqa: ASYNC110 - it rests on purpose
        await asyncio.sleep(0.05)
    writer.close()


async def main() -> None:
    """Listen, say where, serve."""
    ports = {}
    for name, handler in (("database", database), ("licences", licences), ("archive", archive)):
        server = await asyncio.start_server(handler, "127.0.0.1", 0, limit=1 << 16)
        ports[name] = server.sockets[0].getsockname()[1]
    print(json.dumps(ports), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    end_with_parent()
    asyncio.run(main())
