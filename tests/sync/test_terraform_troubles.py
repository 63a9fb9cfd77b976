"""What people know from Terraform's provider: each row of the table in docs/sync.md that has no other test."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from obskit.local.serve import LocalBackend
from obskit.queries.context import RenderContext
from obskit.sync.canonical import canonical
from obskit.sync.google import GoogleBackend
from obskit.sync.kinds import CHANNEL, DASHBOARD, POLICY
from obskit.sync.plan import make_plan

ROOT = Path(__file__).resolve().parents[2]
CONTEXT = RenderContext(project="shop", environ={"SLACK": "xoxb-1"})


def planned(definition, kind, actual):
    """Return what happens to an object that was made from a definition and then came back as `actual`."""
    made = make_plan([definition], {}, CONTEXT, kinds=[kind]).writes[0].document
    there = {**actual(json.loads(json.dumps(made))), "name": f"projects/shop/{kind.collection}/1"}
    (change,) = make_plan([definition], {kind: [there]}, CONTEXT, kinds=[kind]).changes
    return change


def two_conditions():
    from obskit.alerts import AlertPolicy, PromQLCondition

    conditions = [
        PromQLCondition(query="up == 0", display_name="down", duration="1m"),
        PromQLCondition(query="up == 1", display_name="up"),
    ]
    channels = ["projects/shop/notificationChannels/2", "projects/shop/notificationChannels/1"]
    return AlertPolicy(id="two", conditions=conditions, combiner="any", channels=channels)


@pytest.mark.parametrize(
    "change",
    [
        lambda made: {**made, "conditions": made["conditions"][::-1]},
        lambda made: {**made, "notificationChannels": made["notificationChannels"][::-1]},
        lambda made: {
            **made,
            "enabled": True,
            "creationRecord": {"mutatedBy": "x"},
            "mutationRecord": {"mutatedBy": "x"},
        },
        lambda made: {
            **made,
            "conditions": [{**each, "name": f"projects/shop/c/{n}"} for n, each in enumerate(made["conditions"])],
        },
        lambda made: json.loads(json.dumps(made).replace('"60s"', '"60.0s"')),
    ],
    ids=["order of conditions", "order of channels", "records and enabled", "names of conditions", "60.0s"],
)
def test_what_the_server_does_to_a_policy_is_no_change(change):
    """Another order, filled-in fields and other spellings of a duration plan as unchanged."""
    assert planned(two_conditions(), POLICY, change).action == "unchanged"


def test_what_the_server_does_to_a_dashboard_is_no_change():
    """The reducers, aligners and sources that the server writes into a chart, numbers as text: unchanged."""
    from obskit.dashboards import service

    def filled(made):
        text = json.dumps(made)
        text = re.sub(
            r'"perSeriesAligner": "([A-Z_0-9]+)"', r'"perSeriesAligner": "\1", "apiSource": "DEFAULT_CLOUD"', text
        )
        found = json.loads(text)
        for tile in found["mosaicLayout"]["tiles"]:
            tile["width"] = str(tile["width"])
            for name in ("xPos", "yPos"):
                tile.setdefault(name, 0)
        return {**found, "etag": "1"}

    assert planned(service(), DASHBOARD, filled).action == "unchanged"


def test_a_secret_that_comes_back_masked_is_no_change_and_a_new_one_is():
    """Slack's token is stars when it is read: no diff. Another token in the environment is an update."""
    from obskit.alerts import env, slack

    channel = slack("ops", channel="#ops", token=env("SLACK"))

    def masked(made):
        return {**made, "labels": {**made["labels"], "auth_token": "********"}}

    change = planned(channel, CHANNEL, masked)
    assert change.action == "unchanged"
    other = RenderContext(project="shop", environ={"SLACK": "xoxb-2"})
    there = {**masked(change.document), "name": change.name}
    (changed,) = make_plan([channel], {CHANNEL: [there]}, other, kinds=[CHANNEL]).changes
    assert changed.action == "update"
    assert "xoxb" not in str(changed.fields)


def test_fields_that_no_client_knows_survive_a_write():
    """A widget's field that Google's Python client lacks is there after create, read and update."""
    document = {
        "displayName": "d",
        "labels": {"x": ""},
        "mosaicLayout": {
            "columns": 48,
            "tiles": [{"width": 4, "height": 4, "widget": {"title": "t", "futureWidget": {"displayHorizontal": True}}}],
        },
    }
    with LocalBackend(project="shop", http_port=0, grpc_port=0) as local:
        backend = GoogleBackend("shop", endpoint=local.http_url)
        made = backend.create(DASHBOARD, document)
        again = backend.update(DASHBOARD, made["name"], {**document, "displayName": "e", "etag": made["etag"]})
        assert canonical(backend.get(DASHBOARD, made["name"]), DASHBOARD) == canonical(again, DASHBOARD)
        assert again["mosaicLayout"]["tiles"][0]["widget"]["futureWidget"] == {"displayHorizontal": True}


def test_every_test_that_the_table_names_is_there():
    """docs/sync.md names a test for each row, as file::test."""
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", (ROOT / "docs" / "sync.md").read_text())
    assert len(named) >= 12
    for file, test in named:
        tree = ast.parse((ROOT / file).read_text())
        assert test in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, f"{file}::{test}"
