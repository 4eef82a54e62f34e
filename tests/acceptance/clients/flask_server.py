"""Flask under the WSGI server. usage: flask_server.py

Prints the port; SIGTERM ends it. Blocking code, as anybody's: what it waits for is time, or the others.
"""

from __future__ import annotations

import signal
import threading
import time

from crowd import Gauge, answer
from flask import Flask, Response, request

from greenscope.runtime.wsgi import WSGIServer

app = Flask(__name__)
inside = Gauge()
served = [0]
connections: set[str] = set()
"""That have been answered, by their client's port."""
gates: dict[int, threading.Barrier] = {}


@app.get("/<name>")
def greet(name: str) -> dict[str, str]:
    with inside:
        time.sleep(0.01)
    served[0] += 1
    connections.add(request.environ["REMOTE_PORT"])
    return {"hello": name, "asked": request.args.get("asked", "")}


@app.post("/length")
def length() -> dict[str, int]:
    with inside:
        return {"length": len(request.get_data())}


@app.get("/together/<int:number>")
def together(number: int) -> dict[str, int]:
    with inside:
        gates.setdefault(number, threading.Barrier(number)).wait(60)
    return {"together": number}


@app.get("/stream/<int:chunks>")
def stream(chunks: int) -> Response:
    def pieces():
        for number in range(chunks):
            time.sleep(0)
            yield f"{number}\n" * 100

    return Response(pieces(), mimetype="text/plain")


@app.get("/served/statistics")
def statistics() -> dict[str, int]:
    return {"served": served[0], "peak": inside.peak}


@app.get("/served/connections")
def answered() -> dict[str, int]:
    return {"answered": len(connections), "inside": inside.now}


def main() -> None:
    server = WSGIServer(("127.0.0.1", 0), app, log=None)
    signal.signal(signal.SIGTERM, lambda *_: server.close())
    server.start()
    answer(port=server.server_port)
    server.serve_forever()


if __name__ == "__main__":
    main()
