"""Load from a process of its own, which is not looked at: blocking sockets, a thread a connection.

``python load.py KIND PORT CONNECTIONS``; ``start`` runs it beside the program, for as long as that lives and so keeps
its standard input open.
"""

from __future__ import annotations

import os
import subprocess
import sys


def start(kind: str, port: int, connections: int) -> None:
    """Have so many connections ask for ever."""
    command = [sys.executable, __file__, kind, str(port), str(connections)]
    _running.append(subprocess.Popen(command, env={**os.environ, "GREENSCOPE": "0"}, stdin=subprocess.PIPE))


_running: list[subprocess.Popen[bytes]] = []


def main() -> None:
    import socket
    import threading
    import time

    kind, port, connections = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

    def ask(connection: socket.socket, question: bytes, end: bytes) -> None:
        connection.sendall(question)
        answer = b""
        while not answer.endswith(end):
            data = connection.recv(65536)
            if not data:
                raise ConnectionError
            answer += data

    def work(number: int) -> None:
        question, end = (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"!") if kind == "http" else (b"what?", b"?")
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port)) as connection:
                    if kind == "churn":
                        ask(connection, question, end)
                        time.sleep(0.001)
                        continue
                    while True:
                        ask(connection, question, end)
                        if kind == "poll":
                            time.sleep(0.001 * number)
            except OSError:
                time.sleep(0.01)

    for number in range(connections):
        threading.Thread(target=work, args=(number,), daemon=True).start()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
