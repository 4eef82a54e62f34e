"""Packed JSON: unpacked it is what it was, what is the same is there once, and nothing in it ends a script."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenscope.web.packed_json import in_script, packed

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=40,
)


def unpacked(held: dict[str, Any]) -> Any:
    """As ``frontend/src/model/packed.ts`` does it."""
    made: list[Any] = []
    for part in held["parts"]:
        if not isinstance(part, list):
            made.append(part)
            continue
        values = [made[place] for place in part[1:]]
        made.append(values if part[0] < 0 else dict(zip(held["shapes"][part[0]], values, strict=True)))
    return made[-1]


@given(VALUES)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    back = unpacked(json.loads(json.dumps(packed(value))))
    assert json.dumps(back) == json.dumps(value)  # 1, 1.0 and True are equal, and are not the same


def test_what_is_the_same_is_there_once() -> None:
    frame = {"site": {"file": "a.py", "line": 7}, "words": ["one"]}
    held = packed([frame, {**frame, "words": ["two"]}, frame])
    assert held["shapes"] == [["site", "words"], ["file", "line"]]
    assert len(held["parts"]) == len(["a.py", 7, "site", "one", "[one]", "frame", "two", "[two]", "frame two", "all"])


@pytest.mark.parametrize("text", ["</script><script>alert(1)</script>", "<!--", "-->", "]]>", "&lt;", "\u2028\u2029"])
def test_nothing_in_it_means_anything_to_html(text: str) -> None:
    written = in_script({text: text})
    assert not set(written) & set("<>&\u2028\u2029")
    assert json.loads(written) == {text: text}


def test_half_of_a_character_is_told_as_one_that_is_not_known() -> None:
    assert json.loads(in_script("\ud800")) == "?"
