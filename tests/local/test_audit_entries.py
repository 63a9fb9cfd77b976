"""Entries with a protoPayload: audit logs, as Google's services write them."""

from __future__ import annotations

import pytest
from google.cloud.audit.audit_log_pb2 import AuditLog
from google.cloud.logging_v2.types import ListLogEntriesRequest, WriteLogEntriesRequest
from google.protobuf import any_pb2

from obskit.engine.log_filters import compile_filter
from obskit.engine.log_metrics import LogMetric as Counter
from obskit.local.rpc.failure import Refused
from obskit.local.rpc.logs import list_log_entries, write_log_entries
from obskit.local.store import Store
from obskit.packs import packs
from obskit.queries.context import RenderContext
from obskit.resources import LogMetric

LOG = "projects/p/logs/cloudaudit.googleapis.com%2Fsystem_event"
BACKED_UP = {
    "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
    "serviceName": "cloudsql.googleapis.com",
    "methodName": "cloudsql.instances.automatedBackup",
    "resourceName": "instances/orders",
    "metadata": {"windowStatus": "STATUS_SUCCEEDED"},
}
ENTRY = {
    "logName": LOG,
    "resource": {"type": "cloudsql_database", "labels": {"database_id": "p:orders"}},
    "protoPayload": BACKED_UP,
}


def test_over_http(http):
    """It is stored, found by the fields of its payload, and shown with what was done."""
    http.post("/v2/entries:write", {"entries": [ENTRY]})
    text = 'log_id("cloudaudit.googleapis.com/system_event") AND protoPayload.metadata.windowStatus="STATUS_SUCCEEDED"'
    (found,) = http.get("/api/logs", filter=text)["entries"]
    assert found["message"] == "cloudsql.instances.automatedBackup instances/orders"
    assert found["fields"]["serviceName"] == "cloudsql.googleapis.com"
    asked = {"resourceNames": ["projects/local-project"], "filter": text}
    (listed,) = http.post("/v2/entries:list", asked)["entries"]
    assert listed["protoPayload"] == BACKED_UP


@pytest.mark.parametrize("payload", ["text", {"methodName": "x"}], ids=["text", "untyped"])
def test_what_is_no_payload_is_refused(http, payload):
    """It has to be an object that says of which type it is."""
    status, document, _ = http.call("POST", "/v2/entries:write", {"entries": [{**ENTRY, "protoPayload": payload}]})
    assert status == 400
    assert "protoPayload" in document["error"]["message"]


def test_over_grpc():
    """The messages of audit logs are known; those of another type are refused by name."""
    store = Store()
    audit = AuditLog(method_name="SetIamPolicy", service_name="iam.googleapis.com")
    request = WriteLogEntriesRequest.pb()(log_name="projects/p/logs/a")
    request.entries.add().proto_payload.Pack(audit)
    write_log_entries(store, request)
    wanted = ListLogEntriesRequest.pb()(resource_names=["projects/p"], filter='protoPayload.methodName="SetIamPolicy"')
    (found,) = list_log_entries(store, wanted)["entries"]
    assert found["protoPayload"]["serviceName"] == "iam.googleapis.com"
    other = WriteLogEntriesRequest.pb()(log_name="projects/p/logs/a")
    other.entries.add().proto_payload.CopyFrom(
        any_pb2.Any(type_url="type.googleapis.com/acme.Unknown", value=b"\x08\x01")
    )
    with pytest.raises(Refused, match=r"google\.cloud\.audit\.AuditLog"):
        write_log_entries(store, other)
    store.close()


METRICS = {each.id: each for pack in packs() for each in pack.objects().all if isinstance(each, LogMetric)}


@pytest.mark.parametrize("name", sorted(METRICS))
def test_every_log_based_metric_of_the_packs_can_be_counted(name):
    """Nothing in their filters and extractors is refused."""
    rendered = METRICS[name].to_dict(RenderContext(project="p"))
    assert Counter.of(rendered).counts({"logName": "projects/p/logs/other"}) is None


def test_the_backups_of_the_cloud_sql_pack_are_counted():
    """The pack's metric finds a backup in the entry that Cloud SQL writes."""
    counter = Counter.of(METRICS["cloud-sql-backups"].to_dict(RenderContext(project="p")))
    assert counter.counts(ENTRY) == ({}, 1.0)
    failed = {**ENTRY, "protoPayload": {**BACKED_UP, "metadata": {"windowStatus": "STATUS_FAILED"}}}
    assert counter.counts(failed) is None


MATCHES = {
    each.id: condition["conditionMatchedLog"]["filter"]
    for pack in packs()
    for each in pack.objects().alerts
    for condition in each.to_dict(RenderContext(project="p"))["conditions"]
    if "conditionMatchedLog" in condition
}


@pytest.mark.parametrize("name", sorted(MATCHES))
def test_every_log_condition_of_the_packs_can_be_matched(name):
    """Nothing in their filters is refused."""
    assert not compile_filter(MATCHES[name])({"logName": "projects/p/logs/other"})
