"""The subset of the Logging query language, over one entry."""

from __future__ import annotations

import pytest

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


def test_and_binds_stronger_than_or():
    """As in the documentation: NOT, then OR, then AND would read otherwise; this backend reads AND first."""
    assert compile_filter("severity=WARNING OR severity=INFO AND labels.tier=paid")(ENTRY)


@pytest.mark.parametrize(
    "text", ["severity>=", "(severity=INFO", "=5", 'a=~"("', "severity=INFO )", 'message="open', "a=(b OR", "AND"]
)
def test_what_does_not_parse_is_told_with_its_column(text: str):
    """Nothing is guessed."""
    with pytest.raises(QueryError, match=r"log filter, column \d+"):
        compile_filter(text)(ENTRY)
