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


def tile(x, y, kind, **more):
    place = {"xPos": x, "yPos": y} if x or y else {}
    return {**place, "width": 1, "height": 1, "widget": {kind: {}, **more}}


def test_in_which_order_a_mosaic_lists_its_tiles_is_no_difference():
    """Positions say where a tile lies; only members of a group, which lie on one another, keep their order."""
    ours = [tile(0, 0, "text"), tile(1, 0, "blank"), tile(0, 1, "singleViewGroup"), tile(0, 1, "text", title="first")]
    members = [tile(0, 1, "text", title="second"), tile(0, 1, "text", title="third")]
    document = {"mosaicLayout": {"tiles": [*ours, *members]}}
    turned = {"mosaicLayout": {"tiles": [ours[3], members[0], members[1], ours[2], ours[1], ours[0]]}}
    swapped = {"mosaicLayout": {"tiles": [*ours, members[1], members[0]]}}
    moved = {"mosaicLayout": {"tiles": [tile(2, 0, "text"), *ours[1:], *members]}}
    assert canonical(document, DASHBOARD) == canonical(turned, DASHBOARD)
    assert canonical(document, DASHBOARD) != canonical(swapped, DASHBOARD)
    assert canonical(document, DASHBOARD) != canonical(moved, DASHBOARD)


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ({"scorecard": {"blankView": {}}}, {"scorecard": {}}, False),
        ({"singleViewGroup": {}}, {"blank": {}}, False),
        ({"xyChart": {"timeshiftDuration": "0s"}}, {"xyChart": {}}, True),
        ({"xyChart": {"timeshiftDuration": "604800s"}}, {"xyChart": {}}, False),
    ],
)
def test_what_a_widget_is_is_a_difference(one, other, is_same):
    """Kinds that are told by an empty table differ; a comparison with now is none."""
    assert (canonical(one, DASHBOARD) == canonical(other, DASHBOARD)) is is_same
