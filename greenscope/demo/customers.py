"""The shop's customers: connections that ask, read the answer, think for a while, and sometimes leave and come back.

python -m greenscope.demo.customers PORT CONNECTIONS
"""

from __future__ import annotations

import asyncio
import random
import sys

from greenscope.demo.parent import end_with_parent

REQUESTS = ("GET /checkout", "GET /search", "GET /search", "GET /basket")


async def customer(port: int) -> None:
    """One customer, who never gives up."""
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:  # the shop is not there, or not any more
            await asyncio.sleep(0.5)
            continue
        for _ in range(random.randint(100, 1500)):
            try:
                writer.write(f"{random.choice(REQUESTS)}\n".encode())
                if not await reader.readline():
                    break
            except OSError:
                break
            await asyncio.sleep(random.expovariate(15))
        writer.close()


async def main(port: int, connections: int) -> None:
    """Keep the customers coming."""
    async with asyncio.TaskGroup() as customers:
        for _ in range(connections):
            customers.create_task(customer(port))


if __name__ == "__main__":
    end_with_parent()
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
