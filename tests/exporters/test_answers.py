"""What answers say about trying again, and about what was taken."""

from __future__ import annotations

import pytest
from collector import Collector
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from requests.structures import CaseInsensitiveDict
from telemetry import resource, spans

from obskit.exporters.answers import retry_after_s, retry_info_s
from obskit.exporters.otlp import OtlpDestination
from obskit.signals.delivery import Outcome

DATE = "Wed, 21 Oct 2026 07:28:00 GMT"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"Retry-After": "-3"}, 0.0),
        ({"Retry-After": "nan"}, 0.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:40 GMT", "Date": DATE}, 40.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:40 -0000", "Date": DATE}, 40.0),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"Retry-After": "soon"}, 5.0),
        ({}, 5.0),
    ],
)
def test_retry_after(headers: dict[str, str], expected: float) -> None:
    """Seconds and dates are understood; a date counts from the answer's own, so that no clock needs to be right."""
    assert retry_after_s(CaseInsensitiveDict(headers), fallback_s=5.0) == expected


def test_retry_info() -> None:
    """The pause of a RetryInfo is read where there is one; any other body asks for none."""
    info = RetryInfo()
    info.retry_delay.FromMilliseconds(34_070)
    status = Status(code=8)
    status.details.add().Pack(info)
    assert retry_info_s(status.SerializeToString()) == 34.07
    for body in (b"", b"<html>busy</html>", b'{"code": 8}', Status(code=8).SerializeToString()):
        assert retry_info_s(body) == 0.0


def test_a_partial_success_is_no_success(collector: Collector) -> None:
    """A receiver that takes a batch less some spans is believed: those are lost, with its own words."""
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = 2
    answer.partial_success.error_message = "two without a service"
    collector.answers = [(200, {}, answer.SerializeToString())]
    destination = OtlpDestination(collector.url, resource())
    expected = Outcome(delivered=3, lost=2, reason="rejected", detail="two without a service")
    assert destination.export_spans(spans(5), 5.0) == expected
    collector.answers = [(200, {}, b"{}")]
    assert destination.export_spans(spans(5), 5.0) == Outcome(delivered=5)


@pytest.mark.parametrize(("status", "is_divisible"), [(400, True), (413, True), (401, False), (404, False)])
def test_what_may_be_on_account_of_one_item(collector: Collector, status: int, *, is_divisible: bool) -> None:
    """Halves are worth a try where the content was refused, and not where the caller was."""
    collector.answers = [(status, {})]
    outcome = OtlpDestination(collector.url, resource()).export_spans(spans(2), 5.0)
    assert (outcome.lost, outcome.is_divisible) == (2, is_divisible)
