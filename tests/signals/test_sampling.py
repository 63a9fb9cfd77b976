"""What is exported of requests whose trace was not sampled."""

from __future__ import annotations

from datetime import timedelta

import pytest

from obskit.config import Config
from obskit.signals.sampling import Keeper


class Hand:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_failed_and_slow_requests_are_kept_and_others_are_not():
    """Fast and well is not kept; failed, or as slow as the setting says, is."""
    keeper = Keeper(Config(slow_request=timedelta(seconds=2)))
    assert keeper.share("/a", 0.1, is_error=False) == 0.0
    assert keeper.share("/a", 0.1, is_error=True) == 1.0
    assert keeper.share("/a", 2.0, is_error=False) == 1.0


def test_slow_requests_can_be_left_out():
    """A limit of nothing switches it off."""
    keeper = Keeper(Config(slow_request=timedelta(0)))
    assert keeper.share("/a", 3600.0, is_error=False) == 0.0


@pytest.mark.parametrize("most", [1, 3, 60])
def test_shares_add_up_to_what_was_seen(most: int):
    """A route that only fails is thinned out, and what is kept stands for the rest to within its last share."""
    keeper = Keeper(Config(kept_per_minute=most))
    shares = [keeper.share("/a", 0.0, is_error=True) for _ in range(10_000)]
    kept = [share for share in shares if share]
    assert all(share == 1.0 for share in shares[:most])
    assert len(kept) <= most * 15
    assert abs(sum(1 / share for share in kept) - 10_000) < 1 / kept[-1] * 2


def test_each_route_and_each_minute_has_its_own():
    """A route that floods takes nothing from another one, nor from itself a minute later."""
    hand = Hand()
    keeper = Keeper(Config(kept_per_minute=1), hand)
    assert [keeper.share("/a", 0.0, is_error=True) for _ in range(2)] == [1.0, 0.0]
    assert keeper.share("/b", 0.0, is_error=True) == 1.0
    hand.now_s = 60.0
    assert keeper.share("/a", 0.0, is_error=True) == 1.0
