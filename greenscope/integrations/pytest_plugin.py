"""``pytest --greenscope``: a recording for each test that fails, and what is wrong in it in the test's report.

pytest loads this in every project that has greenscope installed. So here are the options alone, and nothing is
imported, set or looked at without one of them. What they do is in ``pytest_recordings`` and ``pytest_leaks``.

One thing is undone: of a package with a plugin pytest rewrites every assert, as if they were a test's, and a runtime
that is looked at should be what it is elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

__all__ = ["pytest_addoption", "pytest_configure"]


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the options."""
    rewritten = getattr(pluginmanager.rewrite_hook, "_must_rewrite", None)
    if isinstance(rewritten, set):
        rewritten.discard("greenscope")
    group = parser.getgroup("greenscope", "greenlets: recordings of failed tests, and leaks")
    group.addoption(
        "--greenscope",
        action="store_true",
        help="Record the greenlets of each test and of the programs it starts; the report of one that fails says "
        "what was wrong, who waited for what, and where the recording is.",
    )
    group.addoption(
        "--greenscope-leaks",
        action="store_true",
        help="As --greenscope; and a test fails that leaves greenlets, sockets, watchers or timeouts behind.",
    )
    group.addoption(
        "--greenscope-dir",
        metavar="DIR",
        help="Where recordings are kept, a directory a run, those of the last few runs; in the directory for temporary "
        "files unless told.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Begin, if that is asked for."""
    leaks = config.getoption("--greenscope-leaks")
    if not (leaks or config.getoption("--greenscope")):
        return
    import pytest

    from greenscope.integrations.pytest_recordings import Recordings

    try:
        recordings = Recordings(config, leaks)
    except OSError as error:
        raise pytest.UsageError(f"--greenscope-dir: {error.strerror}: {error.filename}; name another one") from None
    config.pluginmanager.register(recordings, "greenscope-recordings")
