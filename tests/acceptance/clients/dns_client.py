"""dnspython: look-ups over UDP and TCP. usage: dns_client.py HOST PORT"""

from __future__ import annotations

import sys

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.resolver
from crowd import SIZE, answer, count, crowd

ROUNDS = 3
LATE = 50


def main(host: str, port: int) -> None:
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [host]
    resolver.port = port
    resolver.lifetime = 60
    resolver.timeout = 2  # and then once more: a datagram may be lost

    def look_up(number: int) -> int:
        resolver.resolve(f"together-{SIZE}.test", "A", tcp=True)
        right = 0
        for turn in range(ROUNDS):
            name = number + turn * SIZE
            [found] = resolver.resolve(f"{name}.test", "A")
            right += found.to_text() == f"10.0.{name >> 8}.{name & 255}"
        texts = resolver.resolve(f"long-{number}.test", "TXT")  # over UDP, and then again over TCP
        right += sorted(text.strings[0].split()[:2] for text in texts) == [
            [b"%d" % number, b"%d" % n] for n in range(10)
        ]
        try:
            resolver.resolve(f"nobody{number}.test", "A")
        except dns.resolver.NXDOMAIN:
            right += 1
        return right

    def over_tcp(number: int) -> int:
        query = dns.message.make_query(f"{number}.test", "A")
        response = dns.query.tcp(query, host, timeout=60, port=port)
        return int(response.answer[0][0].to_text() == f"10.0.{number >> 8}.{number & 255}")

    def too_late(number: int) -> str:
        query = dns.message.make_query("late.test", "A")
        try:
            dns.query.udp(query, host, timeout=0.2, port=port)
        except dns.exception.Timeout as error:
            return type(error).__name__
        return "no timeout"

    answer(
        right=sum(crowd(look_up)),
        tcp=sum(crowd(over_tcp)),
        late=count(crowd(too_late, LATE)),
        peak=int(resolver.resolve("statistics.test", "TXT")[0].strings[0]),
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
