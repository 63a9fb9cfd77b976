"""The subset of the Logging query language, over one entry."""

from __future__ import annotations

import pytest

from obskit.engine.conditions import UnsupportedError
from obskit.engine.log_filters import compile_filter
from obskit.errors import QueryError

ENTRY = {
    "logName": "projects/p/logs/run.googleapis.com%2Fstdout",
    "severity": "WARNING",
    "resource": {"type": "cloud_run_revision", "labels": {"service_name": "shop"}},
    "jsonPayload": {"message": "Order Failed", "order": {"id": 17, "paid": False}, "tags": ["red", "blue"]},
    "httpRequest": {"status": 503, "requestUrl": "/orders/17", "latency": "1.250s"},
    "labels": {"k8s-pod/app": "shop-1", "tier": "free"},
    "trace": "projects/p/traces/0af7651916cd43dd8448eb211c80319c",
    "timestamp": "2026-11-21T07:00:00.000000000Z",
}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "severity>=WARNING",
        "severity=warning",
        "severity<ERROR",
        "severity!=INFO",
        'resource.type="cloud_run_revision"',
        "resource.labels.service_name=shop",
        'jsonPayload.message:"order"',
        'jsonPayload.message="order failed"',
        "jsonPayload.order.id=17",
        "jsonPayload.order.id>=17 AND jsonPayload.order.id<18",
        "jsonPayload.order.paid=false",
        "jsonPayload.tags=blue",
        "jsonPayload.order:*",
        'jsonPayload.message=~"^Order .*ed$"',
        'jsonPayload.message!~"^order"',
        "httpRequest.status>=500",
        'httpRequest.latency>"1s"',
        'labels."k8s-pod/app"="shop-1"',
        'logName="projects/p/logs/run.googleapis.com%2Fstdout"',
        'logName:"stdout"',
        'trace="projects/p/traces/0af7651916cd43dd8448eb211c80319c"',
        'timestamp>="2026-11-21T06:00:00Z"',
        '"order failed"',
        "failed",
        "order failed",
        "severity>=ERROR OR httpRequest.status=503",
        "NOT severity>=ERROR",
        "-severity>=ERROR",
        "NOT (severity=INFO OR severity=DEBUG) labels.tier=free",
        'severity=("ERROR" OR "WARNING")',
        "-- a comment\nseverity=WARNING\nlabels.tier=free",
        "jsonPayload.none!=x",
        "NOT jsonPayload.none:*",
    ],
)
def test_an_entry_fits(text: str):
    """Fields, nested fields, labels in quotes, text anywhere, and the words between."""
    assert compile_filter(text)(ENTRY)


@pytest.mark.parametrize(
    "text",
    [
        "severity>WARNING",
        "severity=INFO",
        "jsonPayload.message=Order",
        "jsonPayload.order.id=18",
        "jsonPayload.none=x",
        "jsonPayload.none:*",
        "jsonPayload.order.id!=17",
        "httpRequest.status<500",
        "severity=WARNING AND labels.tier=paid",
        "severity=WARNING AND NOT labels.tier=free",
        "delivered",
        'severity=("ERROR" OR "INFO")',
        'jsonPayload.message=~"^order"',
    ],
)
def test_an_entry_does_not_fit(text: str):
    """A field that is not there equals nothing."""
    assert not compile_filter(text)(ENTRY)


def test_or_binds_stronger_than_and():
    """As documented: NOT, then OR, then AND."""
    assert not compile_filter("severity=WARNING OR severity=INFO AND labels.tier=paid")(ENTRY)
    assert compile_filter("severity=WARNING AND labels.tier=paid OR labels.tier=free")(ENTRY)
    assert compile_filter("NOT severity=INFO OR severity=INFO AND labels.tier=free")(ENTRY)


AUDIT = {
    "logName": "projects/p/logs/cloudaudit.googleapis.com%2Factivity",
    "severity": "NOTICE",
    "timestamp": "2026-11-21T07:00:00.500000000Z",
    "protoPayload": {
        "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
        "methodName": "SetIamPolicy",
        "requestMetadata": {"callerIp": "10.1.2.3"},
        "metadata": {"windowStatus": "STATUS_SUCCEEDED"},
        "authorizationInfo": [{"granted": True, "permission": "a.b.set"}, {"granted": False, "permission": "a.b.get"}],
        "status": {"message": "it's done: user-agent curl/8"},
    },
}


@pytest.mark.parametrize(
    "text",
    [
        'log_id("cloudaudit.googleapis.com/activity")',
        'NOT log_id("stdout") AND protoPayload.methodName="SetIamPolicy"',
        'protoPayload."@type"="type.googleapis.com/google.cloud.audit.AuditLog"',
        'protoPayload.metadata.windowStatus="STATUS_SUCCEEDED"',
        'protoPayload.methodName:"iam"',
        "protoPayload.authorizationInfo.granted=false",
        "protoPayload.requestMetadata:callerIp",
        "protoPayload:succeeded",
        'ip_in_net(protoPayload.requestMetadata.callerIp, "10.0.0.0/8")',
        'SEARCH("succeeded status")',
        'SEARCH(protoPayload.status.message, "CURL done")',
        'SEARCH("`user agent` done")',
        'timestamp>="2026-11-21T07:00:00.5Z"',
        'timestamp<"2026-11-21T08:00:01+01:00"',
        "timestamp>=2026-11-21T07:00:00Z",
        'timestamp>"2026-11-21"',
        "severity>=NOTICE severity<400",
        r'protoPayload.status.message=~"curl/\d$"',
        r'protoPayload.status.message=~"curl/\\d$"',
        'protoPayload.methodName=~"^Set"',
        'protoPayload.methodName!~"^Get"',
        'protoPayload.methodName=("Get" OR "SetIamPolicy")',
        'protoPayload.methodName:("set" AND "policy")',
        'protoPayload.methodName=(NOT "Get")',
        "severity=NOTICE -- until the end of the line (\nprotoPayload:*",
        '-protoPayload.methodName="Get"',
    ],
)
def test_an_audit_entry_fits(text: str):
    """Functions, audit logs' fields, times, negations, comments."""
    assert compile_filter(text)(AUDIT)


@pytest.mark.parametrize(
    "text",
    [
        'log_id("activity")',
        'SEARCH("succeed")',
        'SEARCH("`agent user`")',
        'SEARCH(protoPayload.methodName, "done")',
        'ip_in_net(protoPayload.requestMetadata.callerIp, "192.168.0.0/16")',
        'timestamp<"2026-11-21T07:00:00.5Z"',
        'protoPayload.methodName=~"^set"',
        'protoPayload.methodName:("set" AND "get")',
        "NOT protoPayload.methodName:iam",
        "@type",
    ],
)
def test_an_audit_entry_does_not_fit(text: str):
    """Whole words, whole names, whole moments; keys are not searched."""
    assert not compile_filter(text)(AUDIT)


@pytest.mark.parametrize("text", ["sample(insertId, 0.5)", 'source("projects/p")', 'cast("1", INT64)'])
def test_functions_that_are_not_matched_are_refused_by_name(text: str):
    """A filter that Google takes is not held for a mistake."""
    with pytest.raises(UnsupportedError, match=rf"{text.partition('(')[0]}\(…\) is not matched here"):
        compile_filter(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("severity>=ERRR", "no severity"),
        ('timestamp>="yesterday"', "no time"),
        ('ip_in_net(a, "x")', "x"),
        ('serach("a")', "no function"),
        ('log_id("a"', "not closed"),
        ("a=" + "b" * 20_000, "20002 characters"),
    ],
    ids=["severity", "time", "network", "function", "open", "long"],
)
def test_values_that_do_not_fit_are_told(text: str, told: str):
    """With the column and the reason."""
    with pytest.raises(QueryError, match=told):
        compile_filter(text)


@pytest.mark.parametrize(
    "text", ["severity>=", "(severity=INFO", "=5", 'a=~"("', "severity=INFO )", 'message="open', "a=(b OR", "AND"]
)
def test_what_does_not_parse_is_told_with_its_column(text: str):
    """Nothing is guessed."""
    with pytest.raises(QueryError, match=r"log filter, column \d+"):
        compile_filter(text)(ENTRY)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("timestamp>=2026-11-21T06:", "column 25 .*colons in quotes"),
        ('labels.tier=a:"b c"', "column 14 .*colons in quotes"),
        ("jsonPayload.x=a: b", "column 16 .*colons in quotes"),
    ],
    ids=["end", "string", "space"],
)
def test_a_value_that_breaks_off_at_a_colon_is_told(text: str, told: str):
    """Only words and colons without a space are a value without quotes."""
    with pytest.raises(QueryError, match=told):
        compile_filter(text)


@pytest.mark.parametrize(
    "text", ["(" * 400 + "a" + ")" * 400, "NOT " * 1000 + "a", "(-" * 400 + "a"], ids=["parentheses", "words", "both"]
)
def test_a_filter_that_is_too_deep_is_told(text: str):
    """Neither reading it nor matching with it may run out of the interpreter's stack."""
    with pytest.raises(QueryError, match="in each other"):
        compile_filter(text)


def test_a_filter_may_be_long_and_some_levels_deep():
    """What is beside each other counts for nothing."""
    assert compile_filter(" AND ".join(["(NOT (severity=INFO))"] * 500))(ENTRY)
    assert compile_filter("(" * 40 + "severity=WARNING" + ")" * 40)(ENTRY)


@pytest.mark.parametrize("op", ["=~", "!~"])
def test_a_pattern_that_may_take_for_ever_is_refused(op: str):
    """It is RE2's, and Google runs it; here it would hold everything up."""
    with pytest.raises(UnsupportedError, match="may take for ever"):
        compile_filter(f'textPayload{op}"^([a-z]+ ?)*$"')
