"""The made-up week: enough to compare a day with, the same every day, never falling."""

from __future__ import annotations

from itertools import pairwise

import pytest

from obskit.catalog import AI_COST, AI_TOKENS
from obskit.demo.history import DAILY_TOKENS, made_up_week

DAY_MS = 86_400_000
END_MS = 1_795_000_000_000


def tokens_at(time_ms: int) -> float:
    week = [counter for counter in made_up_week("gemini-3.8-flash", end_ms=END_MS) if counter.metric is AI_TOKENS]
    return sum(max(value for at, value in counter.points if at <= time_ms) for counter in week)


def test_every_day_has_the_same_tokens() -> None:
    """Each of the last eight days adds what a day is said to have."""
    for day in range(8):
        end = END_MS - day * DAY_MS
        assert tokens_at(end) - tokens_at(end - DAY_MS) == pytest.approx(DAILY_TOKENS, rel=1e-4)


def test_counters_never_fall_and_reach_the_end() -> None:
    """Each series rises from its start to the moment that was asked for, and its labels are the catalog's."""
    for counter in made_up_week("gemini-3.8-flash", end_ms=END_MS):
        assert counter.start_ms < counter.points[0][0]
        assert counter.points[-1][0] == END_MS
        assert all(first[1] <= second[1] for first, second in pairwise(counter.points))
        assert set(counter.attributes) <= set(counter.metric.label_names)


def test_the_cost_is_that_of_the_tokens() -> None:
    """The cost has a series of its own, below the daily limit by far; a model without a price has none."""
    costs = [counter for counter in made_up_week("gemini-3.8-flash", end_ms=END_MS) if counter.metric is AI_COST]
    assert len(costs) == 1
    assert 0 < costs[0].points[-1][1] / 8.5 < 20
    assert not [counter for counter in made_up_week("made-up", end_ms=END_MS) if counter.metric is AI_COST]
