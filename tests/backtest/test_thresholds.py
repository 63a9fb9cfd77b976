"""The number that a policy compares with is found and changed, and the comparison left out where that is the same."""

from __future__ import annotations

import pytest

from obskit.backtest.thresholds import comparison_of, varied_of


@pytest.mark.parametrize(
    ("query", "op", "value", "values"),
    [
        ("load > 5", ">", 5, "load"),
        ("load>=1e3", ">=", 1000, "load"),
        ("avg(x) < 0.5", "<", 0.5, "avg(x)"),
        ("temperature > -0.5", ">", -0.5, "temperature"),
        ("(a > 5) and on () b", ">", 5, "(a ) and on () b"),
        ("a / b > 0.05 and c >= 10", ">", 0.05, "a / b and c >= 10"),
        ('max(x{le=">3", y="> 4"}) > 2', ">", 2, 'max(x{le=">3", y="> 4"})'),
        ("(a > 3) > 5", ">", 5, "(a > 3)"),
        ("time() - max(x) > 93600 or absent(x)", ">", 93600, ""),
        ("a > 1.5 * b / 7 and on () c", ">", 1.5, ""),
        ("a > (2)", ">", 2, ""),
    ],
)
def test_the_outermost_comparison_is_found(query, op, value, values):
    """Operator, number, and the query of what is compared, empty where it cannot be told apart."""
    found = comparison_of(query)
    assert (found.op, found.value, found.values) == (op, value, values)
    assert comparison_of(found.with_threshold(7.5)).value == 7.5


@pytest.mark.parametrize("query", ["load", "x > bool 5", "topk(3, x > 5)", "5 < a", "a > b", "a == 3", "absent(a)"])
def test_a_query_without_such_a_comparison_has_none(query):
    """A number within a function, on the left or compared with `bool` is no threshold of the alert."""
    assert comparison_of(query) is None


def test_a_condition_on_a_filter_has_its_own_field():
    """The threshold is changed in a copy; the policy stays as it is."""
    policy = {"conditions": [{"conditionThreshold": {"comparison": "COMPARISON_LT", "thresholdValue": 3.0}}]}
    varied = varied_of(policy)
    assert (varied.threshold, varied.is_above) == (3.0, False)
    assert varied.document(2.0)["conditions"][0]["conditionThreshold"]["thresholdValue"] == 2.0
    assert policy["conditions"][0]["conditionThreshold"]["thresholdValue"] == 3.0


def test_a_policy_without_a_number_cannot_be_varied():
    """Absence has no threshold."""
    assert varied_of({"conditions": [{"conditionAbsent": {"filter": "x"}}]}) is None
