"""A crowd that talks to flask_server.py with requests. usage: flask_client.py BASE"""

from __future__ import annotations

import sys

import requests
from crowd import SIZE, answer, count, crowd
from requests.adapters import HTTPAdapter

CHUNKS = 20


def main(base: str) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.mount(base, HTTPAdapter(pool_maxsize=SIZE, pool_block=True))

        def work(number: int) -> str:
            together = session.get(f"{base}/together/{SIZE}", timeout=60).json()
            posted = session.post(f"{base}/length", data=b"x" * number * 100, timeout=60).json()
            with session.get(f"{base}/stream/{CHUNKS}", stream=True, timeout=60) as response:
                lines = list(response.iter_lines())
            missing = session.get(f"{base}/no/such/page", timeout=60).status_code
            right = lines == [b"%d" % chunk for chunk in range(CHUNKS) for _ in range(100)]
            expected = ({"together": SIZE}, {"length": number * 100}, 404)
            return str((together, posted, missing) == expected and right)

        right = crowd(work)
        answer(right=count(right), **session.get(f"{base}/served/statistics", timeout=60).json())


if __name__ == "__main__":
    main(sys.argv[1])
