"""What the tests of the middleware share: what one of them asks of the process is not asked of the next test."""

from __future__ import annotations

import pytest

from greenscope.trace.debugging import debugging


@pytest.fixture(autouse=True)
def nothing_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debugging, "always_traced", False)
    monkeypatch.setattr(debugging, "unrecorded", ())
    monkeypatch.delenv("GREENSCOPE_DEBUG", raising=False)
