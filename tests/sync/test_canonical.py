from __future__ import annotations

import pytest

from obskit.sync.canonical import canonical, content_hash
from obskit.sync.kinds import CHANNEL, DASHBOARD, POLICY


@pytest.mark.parametrize(
    ("kind", "ours", "servers"),
    [
        (
            POLICY,
            {
                "displayName": "p",
                "combiner": "OR",
                "conditions": [{"displayName": "c", "conditionThreshold": {"duration": "60s"}}],
            },
            {
                "name": "projects/p/alertPolicies/1",
                "displayName": "p",
                "combiner": "OR",
                "enabled": True,
                "conditions": [
                    {
                        "name": "projects/p/alertPolicies/1/conditions/2",
                        "displayName": "c",
                        "conditionThreshold": {"duration": "60.0s", "thresholdValue": 0.0},
                    }
                ],
                "creationRecord": {"mutateTime": "2026-01-01T00:00:00Z"},
                "mutationRecord": {"mutateTime": "2026-01-01T00:00:00Z"},
                "userLabels": {"managed-by": "obskit", "obskit-id": "p", "obskit-stack": "default", "obskit-hash": "0"},
            },
        ),
        (
            DASHBOARD,
            {
                "displayName": "d",
                "gridLayout": {"columns": "2", "widgets": [{"xyChart": {"dataSets": [{"timeSeriesQuery": {}}]}}]},
            },
            {
                "displayName": "d",
                "etag": "abc",
                "gridLayout": {
                    "columns": 2,
                    "widgets": [
                        {
                            "xyChart": {
                                "dataSets": [
                                    {
                                        "targetAxis": "Y1",
                                        "timeSeriesQuery": {
                                            "apiSource": "DEFAULT_CLOUD",
                                            "timeSeriesFilter": {
                                                "secondaryAggregation": {"perSeriesAligner": "ALIGN_NONE"},
                                                "aggregation": {"crossSeriesReducer": "REDUCE_NONE"},
                                            },
                                        },
                                    }
                                ]
                            }
                        }
                    ],
                },
            },
        ),
        (POLICY, {"notificationChannels": ["b", "a"]}, {"notificationChannels": ["a", "b"]}),
        (
            CHANNEL,
            {"labels": {"username": "u", "password": "hidden"}},
            {"labels": {"username": "u", "password": "********"}},
        ),
    ],
    ids=["policy", "dashboard", "channel order", "masked secret"],
)
def test_what_the_server_adds_is_not_a_difference(kind, ours, servers):
    """A document and what the server made of it have one canonical form."""
    assert canonical(ours, kind) == canonical(servers, kind)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"enabled": False}, {"enabled": True}),
        ({"conditions": [{"displayName": "a"}]}, {"conditions": [{"displayName": "b"}]}),
        ({"a": "60s"}, {"a": "61s"}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"widget": {"blank": {}}}, {"widget": {"incidentList": {}}}),
        ({"alertStrategy": {"autoClose": "1800s"}}, {}),
    ],
)
def test_what_means_something_else_differs(one, other):
    """Documents that the platform would tell apart have different canonical forms."""
    assert canonical(one, POLICY) != canonical(other, POLICY)


def test_a_hash_follows_secrets_though_they_are_never_compared():
    """A changed password changes the hash and not the canonical form."""
    one, other = ({"labels": {"username": "u", "password": secret}} for secret in ("a", "b"))
    assert canonical(one, CHANNEL) == canonical(other, CHANNEL)
    assert content_hash(one, CHANNEL) != content_hash(other, CHANNEL)


def test_the_canonical_form_is_its_own_canonical_form():
    """Canonicalising twice changes nothing."""
    document = {"a": "90.0s", "b": [{"c": 1.0}, {"c": "5"}], "d": {}, "e": "text"}
    once = canonical(document, POLICY)
    assert canonical(once, POLICY) == once
