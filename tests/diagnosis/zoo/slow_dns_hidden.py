"""Twelve names that nobody answers for take all threads, and other names, which are answered at once, wait behind them.

finding: slow-dns
greenlet: send_mail
thresholds: dns_ms=300 pool_ms=300
"""

import socket as blocking

import noise

import greenscope.runtime as g
from greenscope.runtime import resolve, socket

silent = blocking.socket(blocking.AF_INET, blocking.SOCK_DGRAM)
silent.bind(("127.0.0.1", 0))


def getaddrinfo(host, *_rest):
    if host.startswith("mail"):
        with blocking.socket(blocking.AF_INET, blocking.SOCK_DGRAM) as question:
            question.sendto(host.encode(), silent.getsockname())
            question.recv(512)
    return []


resolve._getaddrinfo = getaddrinfo


def send_mail(number):
    socket.getaddrinfo(f"mail{number}.example.org", "smtp")  # <- here


def look_up(number):
    while True:
        socket.getaddrinfo(f"web{number}.example.org", "http")
        g.sleep(0.02)


noise.start()
for number in range(10):
    g.spawn(look_up, number)
g.sleep(0.2)
g.joinall([g.spawn(send_mail, number) for number in range(12)])
