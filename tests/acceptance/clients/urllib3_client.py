"""urllib3: a pool smaller than the crowd, streams, retries and timeouts. usage: urllib3_client.py HTTP HTTPS CA"""

from __future__ import annotations

import sys

import urllib3
from crowd import answer, count, crowd

POOL = 120
ROUNDS = 4
CHUNKS = 40
SLOW = 50


def exchange(pool: urllib3.HTTPConnectionPool, number: int) -> int:
    right = 0
    for turn in range(ROUNDS):
        body = f"{number}/{turn} ".encode() * 300
        right += pool.request("POST", "/", body=body).data == body
    return right


def stream(pool: urllib3.HTTPConnectionPool, number: int) -> int:
    """A response read piece by piece."""
    with pool.request("GET", f"/chunks/{CHUNKS}", preload_content=False) as response:
        return sum(len(piece) for piece in response.stream(1 << 10))


def after_close(pool: urllib3.HTTPConnectionPool, number: int) -> str:
    """The server ends the connection after each answer: the pool has to notice."""
    return (pool.request("GET", "/close").data + pool.request("GET", "/close").data).decode()


def gives_up(pool: urllib3.HTTPConnectionPool) -> str:
    try:
        pool.request("GET", "/slow", timeout=urllib3.Timeout(connect=30, read=0.2), retries=False)
    except urllib3.exceptions.ReadTimeoutError as error:
        return type(error).__name__
    return "no timeout"


def waits_for_a_connection(pool: urllib3.HTTPConnectionPool) -> str:
    """The pool has none free, and the time to wait for one is over."""
    held = [pool._get_conn() for _ in range(POOL)]
    try:
        pool.request("GET", "/statistics", pool_timeout=0.1, retries=False)
    except urllib3.exceptions.EmptyPoolError as error:
        return type(error).__name__
    finally:
        for connection in held:
            pool._put_conn(connection)
    return "no timeout"


def main(plain: str, tls: str, authority: str) -> None:
    facts: dict[str, object] = {}
    with urllib3.PoolManager(
        maxsize=POOL, block=True, ca_certs=authority, timeout=60, retries=urllib3.Retry(0)
    ) as manager:
        for base, name in ((plain, "http"), (tls, "https")):
            pool = manager.connection_from_url(base)
            together = crowd(lambda _, pool=pool: pool.request("GET", f"/together/{POOL}").status, POOL)
            facts[name] = {
                "together": count([str(status) for status in together]),
                "right": sum(crowd(lambda number, pool=pool: exchange(pool, number))),
                "streamed": sum(crowd(lambda number, pool=pool: stream(pool, number))),
                "closed": count(crowd(lambda number, pool=pool: after_close(pool, number))),
                "slow": count(crowd(lambda _, pool=pool: gives_up(pool), SLOW)),
                "no_connection": waits_for_a_connection(pool),
                "statistics": pool.request("GET", "/statistics").json(),
            }
    answer(**facts)


if __name__ == "__main__":
    main(*sys.argv[1:])
