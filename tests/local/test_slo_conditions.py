"""Which conditions the local backend takes."""

from __future__ import annotations

import pytest

from obskit.local.rpc.conditions import condition_faults

OBJECTIVE = "projects/p/services/s/serviceLevelObjectives/o"


def threshold(text):
    """Return a threshold condition over a filter."""
    return {
        "displayName": "c",
        "conditionThreshold": {
            "filter": text,
            "comparison": "COMPARISON_GT",
            "thresholdValue": 10,
            "duration": "0s",
            "trigger": {"count": 1},
        },
    }


@pytest.mark.parametrize("function", ["select_slo_burn_rate", "select_slo_budget_fraction"])
def test_the_data_of_an_slo_may_be_selected(function):
    """The selectors of SLOs are no Monitoring filters, and are taken as Google takes them."""
    window = ', "3600s"' if function == "select_slo_burn_rate" else ""
    assert list(condition_faults(0, threshold(f'{function}("{OBJECTIVE}"{window})'), {})) == []


def test_what_only_looks_like_a_selector_is_refused():
    """A name without quotes is neither a selector nor a filter."""
    (fault,) = condition_faults(0, threshold(f"select_slo_burn_rate({OBJECTIVE})"), {})
    assert "condition_threshold.filter had an invalid value" in fault
