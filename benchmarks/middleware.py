"""Microseconds of processor time that the debug middleware adds to a request, off and on.

    python -m benchmarks.middleware

The same small application, WSGI in a hub and ASGI on asyncio's loop, is called bare, in a middleware that is off, and
in one that is on, with an answer that is no page and one that gets a bar. It waits four times, as a request does. There
is no server: what one costs would hide what is asked. The ways take turns, a batch each, and each figure is the median
of the batches' differences to the bare one beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Callable
from statistics import median
from time import process_time
from typing import Any

from greenscope.trace.here import here

WAITS = 4
PAGE = b"<!doctype html><html><body>" + b"<p>An order of forty-seven eleven.</p>" * 30 + b"</body></html>"
KINDS = {"data": "application/json", "page": "text/html; charset=utf-8"}
WAYS = ("bare", "off", "on")
Batch = Callable[[str, str, int], float]


def wsgi_batches() -> Batch:
    """Calls a WSGI application so often; gives the seconds it took."""
    from greenscope.runtime import get_hub, sleep
    from greenscope.web import DebugMiddleware

    get_hub()

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        for _ in range(WAITS):
            sleep(0)
        start_response("200 OK", [("Content-Type", environ["kind"]), ("Content-Length", str(len(PAGE)))])
        return [PAGE]

    apps: dict[str, Any] = {"bare": application, "off": DebugMiddleware(application, enabled=False)}
    apps["on"] = DebugMiddleware(application, enabled=True)

    def start_response(*_: Any) -> Any:
        return None

    def batch(way: str, kind: str, requests: int) -> float:
        app = apps[way]
        begin = process_time()
        for _ in range(requests):
            environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/orders/4711", "SCRIPT_NAME": "", "kind": KINDS[kind]}
            result = app(environ, start_response)
            for _piece in result:
                pass
            close = getattr(result, "close", None)
            if close is not None:
                close()
        return process_time() - begin

    return batch


def asgi_batches() -> Batch:
    """Calls an ASGI application so often; gives the seconds it took."""
    from greenscope.web import AsgiDebugMiddleware

    async def application(scope: Any, _receive: Any, send: Any) -> None:
        for _ in range(WAITS):
            await asyncio.sleep(0)
        headers = [(b"content-type", scope["kind"].encode()), (b"content-length", str(len(PAGE)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": PAGE})

    apps: dict[str, Any] = {"bare": application, "off": AsgiDebugMiddleware(application, enabled=False)}
    apps["on"] = AsgiDebugMiddleware(application, enabled=True)
    loop = asyncio.new_event_loop()

    async def send(message: Any) -> None:
        pass

    async def run(app: Any, kind: str, requests: int) -> float:
        begin = process_time()
        for _ in range(requests):
            scope = {"type": "http", "method": "GET", "path": "/orders/4711", "headers": [], "kind": KINDS[kind]}
            await app(scope, send, send)
        return process_time() - begin

    return lambda way, kind, requests: loop.run_until_complete(run(apps[way], kind, requests))


def measure(batch: Batch, rounds: int, requests: int) -> list[dict[str, Any]]:
    """A row for each kind of answer and each way."""
    rows = []
    for kind in KINDS:
        took: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(rounds + 1):
            for way in WAYS:
                took[way].append(batch(way, kind, requests) / requests * 1e6)
        for way in WAYS:
            added = median(one - bare for one, bare in zip(took[way][1:], took["bare"][1:], strict=True))
            rows.append({"answer": kind, "way": way, "us": median(took[way][1:]), "added_us": added})
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--requests", type=int, default=500, help="in a batch")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as directory:
        os.environ["GREENSCOPE_DIR"] = f"{directory}/rings"
        # A thread has one ring: the loop's is closed before the hub has its own.
        for protocol, batches in (("ASGI", asgi_batches), ("WSGI", wsgi_batches)):
            rows = measure(batches(), arguments.rounds, arguments.requests)
            results += [{"protocol": protocol, **row} for row in rows]
            if here.recorder is not None:
                here.recorder.close()
    if arguments.json:
        print(json.dumps({"results": results}))
        return 0
    print(f"{'':5} {'answer':7} {'way':5} {'µs':>8} {'added':>8}")
    for row in results:
        print(f"{row['protocol']:5} {row['answer']:7} {row['way']:5} {row['us']:8.1f} {row['added_us']:8.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
