"""The interpreter's own tests end as they do unpatched, but for those in ``differences``, which say why."""

from __future__ import annotations

import importlib.util
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.acceptance.compare import FILES, differences, run_file
from tests.acceptance.differences import DIFFERENCES, known

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("test.test_socket") is None,
        reason="this Python came without the package `test`: Debian has it in libpython3-testsuite",
    ),
    pytest.mark.skipif(os.environ.get("GREENSCOPE_ACCEPTANCE") == "0", reason="GREENSCOPE_ACCEPTANCE=0"),
]


AT_ONCE = 3
"""Runs at a time: they wait most of it, and a core that is busy makes the interpreter's own tests late."""


@pytest.fixture(scope="module")
def runs(request):
    """Every run of a file, unpatched and patched, that the chosen tests ask for; in their order."""
    wanted = [item.callspec.params["name"] for item in request.session.items if item.name.startswith(f"{_CASES}[")]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {(name, patch): pool.submit(run_file, name, patch) for name in wanted for patch in ("none", "greenscope")}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("name", FILES)
def test_cases_end_as_they_do_unpatched(runs, name):
    plain, patched = runs[name, "none"].result(), runs[name, "greenscope"].result()
    found = differences(plain, patched)
    new = [
        f"{case}: {before} unpatched, {after} patched\n{patched.details.get(case, '')}"
        for case, (before, after) in found.items()
        if known(name, case) is None
    ]
    assert not new, f"{len(new)} cases of {name} differ:\n" + "\n".join(new)
    passing = [
        case for case in plain.outcomes if case not in found and (line := known(name, case)) and not line.sometimes
    ]
    assert not passing, f"these are in differences.py, and do not differ any more: {passing}"


_CASES = test_cases_end_as_they_do_unpatched.__name__


def test_every_line_of_the_table_says_why():
    assert all(one.file in FILES and one.case and one.reason for one in DIFFERENCES)
