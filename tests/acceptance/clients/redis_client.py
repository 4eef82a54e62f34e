"""redis: commands, pipelines, blocking pops, publish/subscribe, and a server that goes.

usage: redis_client.py HOST PORT PATH
"""

from __future__ import annotations

import sys
import threading
import time

import redis
from crowd import SIZE, answer, count, crowd
from redis.backoff import NoBackoff
from redis.retry import Retry

ROUNDS = 20
SUBSCRIBERS = 100
MESSAGES = 20
UNIX = 50


def commands(pool: redis.ConnectionPool) -> list[int]:
    """Counters that all of them count up, and a value of one's own that only oneself may read back."""

    def work(number: int) -> int:
        client = redis.Redis(connection_pool=pool)
        right = 0
        for turn in range(ROUNDS):
            client.incr("counter")
            text = f"{number}/{turn}".encode() * 50
            client.set(f"own:{number}", text)
            right += client.get(f"own:{number}") == text
        return right

    return crowd(work)


def pipelines(pool: redis.ConnectionPool) -> list[list[object]]:
    """Transactions of several commands."""

    def work(number: int) -> list[object]:
        client = redis.Redis(connection_pool=pool)
        with client.pipeline(transaction=True) as pipe:
            pipe.incr("pipelined").rpush(f"list:{number}", *range(ROUNDS)).lrange(f"list:{number}", 0, -1)
            return pipe.execute()[1:]

    return crowd(work)


def all_blocked(client: redis.Redis) -> int:
    """How many the server says are blocked; returns when they all are."""
    most = 0
    for _ in range(3000):
        most = max(most, client.info("clients")["blocked_clients"])
        if most == SIZE:
            break
        time.sleep(0.01)
    return most


def blocking_pops(pool: redis.ConnectionPool) -> tuple[int, list[str], list[str]]:
    """All wait in BLPOP at once, as the server counts them; then each gets one item, and the next time none."""
    client = redis.Redis(connection_pool=pool)
    most = 0

    def push() -> None:
        nonlocal most
        most = all_blocked(client)
        client.rpush("work", *range(SIZE))

    def pop(_number: int) -> tuple[str, str]:
        mine = redis.Redis(connection_pool=pool)
        got = mine.blpop("work", timeout=60)
        return ("" if got is None else got[1].decode()), str(mine.blpop("nobody pushes here", timeout=0.1))

    pusher = threading.Thread(target=push)
    pusher.start()
    popped = crowd(pop)
    pusher.join()
    return most, sorted((item for item, _ in popped), key=int), [nothing for _, nothing in popped]


def publish_subscribe(pool: redis.ConnectionPool) -> list[list[int]]:
    """Every subscriber gets every message, in order."""
    client = redis.Redis(connection_pool=pool)
    ready = threading.Barrier(SUBSCRIBERS + 1)

    def publish() -> None:
        ready.wait(60)
        for number in range(MESSAGES):
            assert client.publish("news", number) == SUBSCRIBERS

    def subscribe(_number: int) -> list[int]:
        with redis.Redis(connection_pool=pool).pubsub() as subscription:
            subscription.subscribe("news")
            got: list[int] = []
            for message in subscription.listen():
                if message["type"] == "subscribe":
                    ready.wait(60)
                else:
                    got.append(int(message["data"]))
                if len(got) == MESSAGES:
                    return got
            return got

    publisher = threading.Thread(target=publish)
    publisher.start()
    heard = crowd(subscribe, SUBSCRIBERS)
    publisher.join()
    return heard


def read_timeout(host: str, port: int) -> str:
    """A command that takes longer than its socket may."""
    client = redis.Redis(host, port, socket_timeout=0.05, retry=Retry(NoBackoff(), 0))
    try:
        client.blpop("nobody pushes here", timeout=30)
    except redis.exceptions.TimeoutError as error:
        return type(error).__name__
    finally:
        client.close()
    return "no timeout"


def over_a_unix_socket(path: str) -> int:
    """The same by another way."""
    pool = redis.ConnectionPool(redis.UnixDomainSocketConnection, path=path)
    text = b"x" * 1_000_000

    def work(number: int) -> int:
        client = redis.Redis(connection_pool=pool)
        client.set(f"large:{number}", text)
        return int(client.get(f"large:{number}") == text)

    right = sum(crowd(work, UNIX))
    pool.disconnect()
    return right


def the_server_goes(pool: redis.ConnectionPool) -> list[str]:
    """It is shut down while all of them wait for it: every one is told, and nobody waits for ever."""

    def shut_down() -> None:
        client = redis.Redis(connection_pool=pool)
        all_blocked(client)
        client.shutdown(nosave=True)

    def pop(_number: int) -> str:
        try:
            redis.Redis(connection_pool=pool, retry=Retry(NoBackoff(), 0)).blpop("work", timeout=60)
        except redis.exceptions.ConnectionError as error:
            return type(error).__name__
        return "an answer"

    ender = threading.Thread(target=shut_down)
    ender.start()
    results = crowd(pop)
    ender.join()
    return results


def main(host: str, port: int, path: str) -> None:
    pool = redis.BlockingConnectionPool(max_connections=SIZE + 1, timeout=60, host=host, port=port)
    right = commands(pool)
    piped = pipelines(pool)
    most, popped, nothing = blocking_pops(pool)
    heard = publish_subscribe(pool)
    client = redis.Redis(connection_pool=pool)
    unix = over_a_unix_socket(path)
    answer(
        right=sum(right),
        counter=int(client.get("counter")),
        pipelined=int(client.get("pipelined")),
        lists=count([str(result == [ROUNDS, [b"%d" % n for n in range(ROUNDS)]]) for result in piped]),
        most_blocked=most,
        popped=popped == [str(number) for number in range(SIZE)],
        nothing=count(nothing),
        heard=count([str(got == list(range(MESSAGES))) for got in heard]),
        timeout=read_timeout(host, port),
        unix=unix,
        descriptors=[connection._sock.fileno() for connection in pool._connections if connection._sock],
        gone=count(the_server_goes(pool)),
    )
    pool.disconnect()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
