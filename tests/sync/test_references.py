from __future__ import annotations

from obskit.sync.references import resolved, unresolved

NAMES = {
    ("alertPolicies", "a"): "projects/p/alertPolicies/7",
    ("notificationChannels", "c"): "projects/p/notificationChannels/8",
}


def test_references_become_resource_names_once_the_object_exists():
    """Known references are replaced wherever they stand, unknown ones stay and are listed."""
    document = {"x": [{"notificationChannels": ["projects/p/notificationChannels/obskit:c", "other"]}]}
    assert resolved(document, NAMES) == {
        "x": [{"notificationChannels": ["projects/p/notificationChannels/8", "other"]}]
    }
    waiting = {"n": "projects/p/notificationChannels/obskit:new"}
    assert resolved(waiting, NAMES) == waiting
    assert unresolved(waiting) == ["projects/p/notificationChannels/obskit:new"]


def test_an_incident_list_names_policies_without_their_project():
    """The dashboards' API wants `alertPolicies/ID` there, and a reference that still waits keeps its form."""
    document = {"policyNames": ["projects/p/alertPolicies/obskit:a", "projects/p/alertPolicies/obskit:b"]}
    assert resolved(document, NAMES) == {"policyNames": ["alertPolicies/7", "projects/p/alertPolicies/obskit:b"]}
