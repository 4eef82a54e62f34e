"""A threaded server of the standard library, HTTP and HTTPS side by side. usage: http_server.py CERTIFICATE

CERTIFICATE is a PEM file with the key in it. Prints the two ports; SIGTERM ends it.

/together/N   answers when N requests are in here at once
/slow         answers when the client has given up
/chunks/N     N chunks of 1000 bytes, in chunked encoding
/close        answers, and closes the connection
/statistics   what was served, as JSON
a POST        answers with what it was sent
"""

from __future__ import annotations

import json
import signal
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from crowd import Gauge, answer

inside = Gauge()
served = [0]
connections = [0]
counting = threading.Lock()
gates: dict[int, threading.Barrier] = {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # a response is one write

    def setup(self) -> None:
        super().setup()
        with counting:
            connections[0] += 1

    def do_GET(self) -> None:
        with inside:
            what, _, number = self.path[1:].partition("/")
            if what == "together":
                with counting:
                    gate = gates.setdefault(int(number), threading.Barrier(int(number)))
                gate.wait(60)
                self.reply(self.path.encode())
            elif what == "slow":
                self.connection.recv(1)  # the end of the connection, which is the client's to bring about
                self.close_connection = True
            elif what == "chunks":
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for chunk in range(int(number)):
                    self.wfile.write(b"3e8\r\n" + b"%d" % (chunk % 10) * 1000 + b"\r\n")
                self.wfile.write(b"0\r\n\r\n")
                self.count()
            elif what == "close":
                self.close_connection = True
                self.reply(b"bye")
            elif what == "statistics":
                facts = {"peak": inside.peak, "served": served[0], "connections": connections[0]}
                self.reply(json.dumps(facts).encode())
            else:
                self.send_error(404)

    def do_POST(self) -> None:
        with inside:
            self.reply(self.rfile.read(int(self.headers["Content-Length"])))

    def reply(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.count()

    def count(self) -> None:
        with counting:
            served[0] += 1

    def log_message(self, *arguments: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True

    def handle_error(self, *arguments: object) -> None:
        if not isinstance(sys.exception(), ssl.SSLError):  # a client that does not trust us
            super().handle_error(*arguments)


class TlsServer(Server):
    """The handshake is the connection's thread's, so that a client that is slow at it holds nobody up."""

    def __init__(self, certificate: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)


def main(certificate: str) -> None:
    servers = (Server(("127.0.0.1", 0), Handler), TlsServer(certificate))
    threads = [threading.Thread(target=server.serve_forever) for server in servers]
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    for thread in threads:
        thread.start()
    answer(ports=[server.server_port for server in servers])
    ended.wait()
    for server in servers:
        server.shutdown()
    for server, thread in zip(servers, threads, strict=True):
        thread.join()
        server.server_close()


if __name__ == "__main__":
    main(sys.argv[1])
