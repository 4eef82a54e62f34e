"""A driver of the DB-API: transactions, waiting for a lock, cancelling. usage: postgres_client.py DRIVER HOST PORT

DRIVER is pg8000 or psycopg (3; with PSYCOPG_IMPL=python it is Python alone, over libpq).
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from crowd import SIZE, answer, count, crowd

ACCOUNTS = 50
ROUNDS = 3
GATE = 4711
KEPT = 50

Connect = Callable[[], Any]


def driver(name: str, host: str, port: int) -> tuple[Any, Connect]:
    if name == "psycopg":
        import psycopg

        return psycopg, lambda: psycopg.connect(host=host, port=port, user="greenscope", dbname="postgres")
    import pg8000.dbapi

    options = {"host": host, "port": port, "database": "postgres", "ssl_context": False}
    return pg8000.dbapi, lambda: pg8000.dbapi.connect("greenscope", **options)


def query(connection: Any, text: str, *arguments: object) -> Any:
    cursor = connection.cursor()
    cursor.execute(text, arguments)
    return cursor.fetchall()[0][0] if cursor.description else None


@contextlib.contextmanager
def connected(connect: Connect) -> Iterator[Any]:
    connection = connect()
    try:
        yield connection
    finally:
        connection.close()


def held_up(connect: Connect, most: list[int]) -> Iterator[None]:
    """Hold a lock until all of them wait for it, as the server says."""
    with connected(connect) as connection:
        query(connection, "select pg_advisory_lock(%s)", GATE)
        yield
        for _ in range(3000):
            most.append(query(connection, "select count(*) from pg_locks where not granted and objid = %s", GATE))
            if most[-1] == SIZE:
                break
            time.sleep(0.01)
        query(connection, "select pg_advisory_unlock(%s)", GATE)


def exchange(connect: Connect, number: int) -> list[int]:
    """Wait at the gate with all the others; then move money around, and read back rows of one's own."""
    with connected(connect) as connection:
        query(connection, "select pg_advisory_lock_shared(%s)", GATE)
        query(connection, "select pg_advisory_unlock_shared(%s)", GATE)
        connection.commit()
        right = 0
        for turn in range(ROUNDS):
            first, second = sorted({number % ACCOUNTS, (number * 7 + turn + 1) % ACCOUNTS} | {ACCOUNTS})[:2]
            query(connection, "update accounts set money = money - 1 where id = %s", first)
            query(connection, "update accounts set money = money + 1 where id = %s", second)
            text = f"{number}/{turn} " * 500
            query(connection, "insert into notes values (%s, %s, %s)", number, turn, text)
            connection.commit()
            right += query(connection, "select note from notes where id = %s and turn = %s", number, turn) == text
            connection.rollback()
        return [right]


def too_slow(connect: Connect, errors: Any) -> str:
    """The server ends a statement that takes longer than it may."""
    with connected(connect) as connection:
        query(connection, "set statement_timeout = 100")
        try:
            query(connection, "select pg_sleep(60)")
        except errors.DatabaseError as error:
            return "canceled" if "statement timeout" in str(error) else repr(error)
    return "not canceled"


def thrown_out(connect: Connect, errors: Any) -> list[str]:
    """The server ends all of their connections while they wait."""

    def sleep(_number: int) -> str:
        try:
            with connected(connect) as connection:
                query(connection, "select pg_sleep(60) -- thrown out")
        except errors.Error:  # of the query, or of closing what is gone
            return "thrown out"
        return "an answer"

    def throw() -> None:
        those = "from pg_stat_activity where query like '%%thrown out' and wait_event = 'PgSleep'"
        with connected(connect) as connection:
            for _ in range(3000):
                if query(connection, f"select count(*) {those}") == KEPT:
                    break
                connection.rollback()  # else it would see the same activity again
                time.sleep(0.01)
            query(connection, f"select count(pg_terminate_backend(pid)) {those}")

    thrower = threading.Thread(target=throw)
    thrower.start()
    results = crowd(sleep, KEPT)
    thrower.join()
    return results


def main(name: str, host: str, port: int) -> None:
    module, connect = driver(name, host, port)
    most: list[int] = []
    with connected(connect) as connection:
        query(connection, "drop table if exists accounts, notes")
        query(connection, "create table accounts (id int primary key, money int not null)")
        query(connection, "create table notes (id int, turn int, note text, primary key (id, turn))")
        query(connection, "insert into accounts select n, 100 from generate_series(0, %s) n", ACCOUNTS)
        connection.commit()

        holder = held_up(connect, most)
        next(holder)
        gatekeeper = threading.Thread(target=lambda: next(holder, None))
        gatekeeper.start()
        right = crowd(lambda number: exchange(connect, number))
        gatekeeper.join()

        answer(
            most_waiting=max(most),
            right=sum(sum(part) for part in right),
            money=query(connection, "select sum(money) from accounts"),
            notes=query(connection, "select count(*) from notes"),
            canceled=count(crowd(lambda _: too_slow(connect, module), KEPT)),
            thrown_out=count(thrown_out(connect, module)),
        )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
