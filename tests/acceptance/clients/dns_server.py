"""A small DNS server, over UDP and TCP, on the standard library's socketserver. usage: dns_server.py

Prints its port; SIGTERM ends it. N.test has the address 10.x.y.z that writes N; long-N.test has a text that does
not fit into a datagram, so that the answer over UDP is cut off; together-N.test is answered when N are asked for at
once; late.test never.
"""

from __future__ import annotations

import signal
import socketserver
import struct
import threading

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
from crowd import Gauge, answer

inside = Gauge()
gates: dict[int, threading.Barrier] = {}


def respond(packet: bytes, limit: int) -> bytes:
    query = dns.message.from_wire(packet)
    [question] = query.question
    label = question.name.labels[0].decode()
    response = dns.message.make_response(query)
    what, _, number = label.rpartition("-")
    with inside:
        if what == "together":
            gates.setdefault(int(number), threading.Barrier(int(number))).wait(60)
    if label == "late":
        return b""
    if label == "statistics":
        response.answer.append(dns.rrset.from_text(question.name, 0, "IN", "TXT", str(inside.peak)))
    elif what == "long":
        texts = [f'"{number} {piece} {"x" * 200}"' for piece in range(10)]
        response.answer.append(dns.rrset.from_text(question.name, 60, "IN", "TXT", *texts))
    elif what == "together":
        response.answer.append(dns.rrset.from_text(question.name, 60, "IN", "A", "10.0.0.1"))
    elif label.isdigit():
        address = ".".join(map(str, struct.pack(">I", (10 << 24) + int(label))))
        response.answer.append(dns.rrset.from_text(question.name, 60, "IN", "A", address))
    else:
        response.set_rcode(dns.rcode.NXDOMAIN)
    wire = response.to_wire(max_size=65535)
    if len(wire) > limit:
        response.answer.clear()
        response.flags |= dns.flags.TC
        wire = response.to_wire()
    return wire


class Datagram(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        packet, sock = self.request
        if wire := respond(packet, 1200):
            sock.sendto(wire, self.client_address)


class Stream(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while len(head := self.rfile.read(2)) == 2:
            wire = respond(self.rfile.read(*struct.unpack(">H", head)), 65535)
            self.wfile.write(struct.pack(">H", len(wire)) + wire)


class TcpServer(socketserver.ThreadingTCPServer):
    request_queue_size = 512


def main() -> None:
    tcp = TcpServer(("127.0.0.1", 0), Stream)
    port = tcp.server_address[1]
    udp = socketserver.ThreadingUDPServer(("127.0.0.1", port), Datagram)
    threads = [threading.Thread(target=server.serve_forever) for server in (tcp, udp)]
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    for thread in threads:
        thread.start()
    answer(port=port)
    ended.wait()
    for server, thread in zip((tcp, udp), threads, strict=True):
        server.shutdown()
        thread.join()
        server.server_close()


if __name__ == "__main__":
    main()
