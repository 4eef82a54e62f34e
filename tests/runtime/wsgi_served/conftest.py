"""A WSGI server in a process of its own, over HTTP and over HTTPS, for a client that knows nothing of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.runtime.wsgi_served.wsgi_wire import Server, serving


@pytest.fixture(autouse=True)
def hub() -> None:
    """None here: everything green is in the other process."""


@pytest.fixture(scope="module", params=["http", "https"])
def process(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serving(request.param) as server:
        yield server


@pytest.fixture
def server(process: Server) -> Iterator[Server]:
    process.get("/forget")
    yield process
    process.hang_up()
    assert process.get("/hello").body == b"hello"  # whatever was done to it
