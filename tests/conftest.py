"""Every test gets a trace directory of its own; browser tests get Debian's Chromium."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

# Chromium talks to Google on its own account; a test that fails on any request to another
# host must not be at the mercy of that. Its sandbox does not work for root, or in most containers.
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session", autouse=True)
def no_stalls_of_the_machine() -> Iterator[None]:
    """What the machine has held up is no stall in a test's program, which would have an event more than was done in it.

    A test about stalls says itself from when on a run is one, or asks for ``default_stalls``.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GREENSCOPE_STALL_MS", "2000")
        yield


@pytest.fixture
def default_stalls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run is a stall from when on it is one for a user who has set nothing."""
    monkeypatch.delenv("GREENSCOPE_STALL_MS", raising=False)


@pytest.fixture(autouse=True)
def trace_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's rings go, also those of the processes it starts."""
    directory = tmp_path / "greenscope"
    monkeypatch.setenv("GREENSCOPE_DIR", str(directory))
    monkeypatch.setenv("GREENSCOPE_RING_MB", "1")  # there are thousands of tests, and a hub for each
    return directory


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, object]) -> dict[str, object]:
    return {**browser_type_launch_args, "executable_path": CHROMIUM, "args": CHROMIUM_FLAGS}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, object]) -> dict[str, object]:
    """The page is in the browser's language: in English, whatever the machine is set to."""
    return {**browser_context_args, "locale": "en-US"}


def pytest_collection_finish() -> None:
    """What is there before the first test stays: thousands of tests need not be looked through for garbage.

    Those that count what is left behind collect it some hundred times.
    """
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what opens a browser, and skip it where there is none, unless that would hide it from CI.

    They come last: the browser stays until the end, a child of this process and threads in it, and the tests of
    the runtime ask about all children and threads.
    """
    items.sort(key=lambda item: "browser" in getattr(item, "fixturenames", ()))
    for item in items:
        if "browser" not in getattr(item, "fixturenames", ()):
            continue
        item.add_marker(pytest.mark.browser)
        if CHROMIUM is None and os.environ.get("GREENSCOPE_REQUIRE_BROWSER") != "1":
            item.add_marker(pytest.mark.skip(reason="no Chromium here: `apt-get install chromium`"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """CI asks for its browser tests to run: a skip, for whatever reason, is a failure there."""
    report = yield
    if (
        report.skipped
        and not hasattr(report, "wasxfail")
        and item.get_closest_marker("browser")
        and os.environ.get("GREENSCOPE_REQUIRE_BROWSER") == "1"
    ):
        report.outcome = "failed"
        report.longrepr = f"skipped, though GREENSCOPE_REQUIRE_BROWSER=1: {report.longrepr}"
    return report
