"""Shares of a list: together they are the list, and no two have an item in common."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmseg_pointrend.inference.shares import Share, launched_share, parse_share


@given(st.lists(st.integers()), st.integers(1, 7), st.integers(1, 4))
def test_together_they_are_the_list(items: list[int], outer: int, inner: int) -> None:
    numbered = list(enumerate(items))
    shares = [
        Share(number, outer).inner(Share(rank, inner)).of(numbered)
        for number in range(outer)
        for rank in range(inner)
    ]
    assert sorted(sum(shares, [])) == numbered
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_shares_are_read() -> None:
    assert parse_share("3/4") == Share(3, 4) and str(Share(3, 4)) == "3/4"
    for wrong in ("4/4", "1", "-1/2", "0/0", "a/b", "1/2/3", ""):
        with pytest.raises(ValueError, match="share must be K/N with K from 0 to N - 1"):
            parse_share(wrong)


def test_launchers_say_which_process_this_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    assert launched_share() == Share(0, 1)
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert launched_share() == Share(2, 3)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="got RANK=2, WORLD_SIZE=2"):
        launched_share()
