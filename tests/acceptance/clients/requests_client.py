"""requests over HTTP and HTTPS, from a pool and with timeouts. usage: requests_client.py HTTP HTTPS CA"""

from __future__ import annotations

import sys

import requests
from crowd import SIZE, Gauge, answer, count, crowd
from requests.adapters import HTTPAdapter

ROUNDS = 5
SLOW = 50

in_flight = Gauge()


def exchange(session: requests.Session, base: str, number: int) -> int:
    """All of them in the server at once; then some posts, each of which has to come back as it was."""
    with in_flight:
        reply = session.get(f"{base}/together/{SIZE}", timeout=60)
    right = int(reply.status_code == 200 and reply.text == f"/together/{SIZE}")
    for turn in range(ROUNDS):
        body = f"{number}/{turn} ".encode() * 300
        with in_flight:
            right += session.post(base, data=body, timeout=60).content == body
    return right


def gives_up(session: requests.Session, base: str) -> str:
    try:
        session.get(f"{base}/slow", timeout=(30, 0.2))
    except requests.exceptions.ReadTimeout as error:
        return type(error).__name__
    return "no timeout"


def main(plain: str, tls: str, authority: str) -> None:
    facts: dict[str, object] = {}
    with requests.Session() as session:
        session.trust_env = False
        session.verify = authority
        for base, name in ((plain, "http"), (tls, "https")):
            session.mount(base, HTTPAdapter(pool_maxsize=SIZE, pool_block=True))
            facts[name] = sum(crowd(lambda number, base=base: exchange(session, base, number)))
            facts[f"{name}_timeouts"] = count(crowd(lambda _, base=base: gives_up(session, base), SLOW))
    with requests.Session() as stranger:
        stranger.trust_env = False
        try:
            stranger.get(f"{tls}/statistics", timeout=30)  # who does not know the authority
        except requests.exceptions.SSLError as error:
            facts["stranger"] = type(error).__name__
    answer(**facts, in_flight=in_flight.peak)


if __name__ == "__main__":
    main(*sys.argv[1:])
