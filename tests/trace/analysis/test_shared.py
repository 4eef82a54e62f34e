"""A mapping whose copies share: in all that one does with it, it is a ``dict``."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenscope.trace.analysis.shared import Shared

NUMBERS = st.one_of(st.integers(0, 5), st.integers(120, 135), st.just(1 << 63))
ACTS = st.lists(st.tuples(st.sampled_from(["set", "pop", "copy", "del"]), NUMBERS, st.integers(0, 9)), max_size=60)


@given(ACTS)
def test_it_is_what_a_dict_is_and_so_are_its_copies(acts: list[tuple[str, int, int]]):
    one: Shared[int] = Shared()
    plain: dict[int, int] = {}
    earlier: list[tuple[Shared[int], dict[int, int]]] = []
    for act, number, value in acts:
        if act == "set":
            one[number] = plain[number] = value
        elif act == "pop":
            assert one.pop(number, None) == plain.pop(number, None)
        elif act == "copy":
            earlier.append((one, plain))
            one, plain = one.copy(), dict(plain)
        elif number in plain:
            del one[number], plain[number]
        else:
            with pytest.raises(KeyError):
                del one[number]
        if earlier and value % 2:  # the one that was copied goes on as well
            old, same = earlier[-1]
            old[number] = same[number] = value
        assert (len(one), dict(one.items())) == (len(plain), plain)
        assert (number in one, one.get(number), one.get(number, 7)) == (
            number in plain, plain.get(number), plain.get(number, 7),
        )  # fmt: skip
    assert all(old == same for old, same in earlier)


def test_a_copy_has_only_pages_of_its_own_that_were_written_to():
    one: Shared[str] = Shared()
    for number in range(100_000):
        one[number] = str(number)
    one.copy()
    pages = one.entries
    one[5] = "five"
    assert pages < 1000
    assert one.entries < pages + 200
    with pytest.raises(KeyError):
        one[100_001]
    assert "5" not in one
