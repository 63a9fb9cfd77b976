from __future__ import annotations

from datetime import timedelta

import pytest

from obskit.queries.durations import as_duration, json_duration, promql_duration, shown_duration, whole_seconds


@pytest.mark.parametrize(
    ("given", "seconds", "promql", "shown"),
    [
        ("90s", "90s", "90s", "90 s"),
        ("5m", "300s", "5m", "5 min"),
        ("1h30m", "5400s", "90m", "90 min"),
        ("7d", "604800s", "7d", "7 d"),
        ("1w", "604800s", "7d", "7 d"),
        (timedelta(days=30), "2592000s", "30d", "30 d"),
        (0.25, "0.25s", "250ms", "250 ms"),
        (120, "120s", "2m", "2 min"),
        ("0s", "0s", "0s", "0 s"),
    ],
)
def test_a_duration_is_spelled_for_each_reader(given, seconds, promql, shown):
    """Google's JSON has seconds, PromQL and sentences the largest unit that fits."""
    assert json_duration(given) == seconds
    assert promql_duration(given) == promql
    assert shown_duration(given) == shown


@pytest.mark.parametrize("given", ["5x", "", "m", "five", None, True, [], "-5m", -1])
def test_what_is_no_duration_is_refused_with_an_example(given):
    """The reason and an example of a duration stand in the error."""
    with pytest.raises(ValueError, match=r"(not a duration|negative) \| Write for example"):
        as_duration(given)


def test_a_sentence_shows_what_was_written_when_it_is_no_duration():
    """Making an error's text never raises another error."""
    assert shown_duration("5x") == "5x"
    assert whole_seconds("1m") == 60
