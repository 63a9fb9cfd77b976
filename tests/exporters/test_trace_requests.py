"""Spans of requests as Cloud Trace's messages: what Google's own exporter makes of the same spans, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.exporter.cloud_trace import CloudTraceSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from test_otlp_spans import CALLER, RESOURCE, ended, record

from obskit.exporters.google_calls import quietly
from obskit.exporters.trace_requests import TraceRequests
from obskit.signals.ended import EndedSpans, Record
from obskit.signals.pace import SpanBatch
from obskit.signals.redaction import Redactor
from obskit.signals.shown import Shown


class Kept:
    """A client that keeps the last request."""

    def batch_write_spans(self, request: Any) -> None:
        self.request = request


def googles(spans: list[Any]) -> list[Any]:
    """Return what Google's exporter sends."""
    kept = Kept()
    pattern = r"service\.(name|version|instance\.id)$|deployment\.environment(\.name)?$|faas\."
    exporter: Any = quietly(CloudTraceSpanExporter, project_id="p1", client=kept, resource_regex=pattern)
    exporter.export(spans)
    assert kept.request.name == "projects/p1"
    return list(type(kept.request).pb(kept.request).spans)


def ours(requests: TraceRequests, items: list[Any], spans: EndedSpans | None) -> list[Any]:
    """Return what obskit sends."""
    request = requests.of(SpanBatch(items, spans, is_hurried=True))
    assert request.name == "projects/p1"
    return list(type(request).pb(request).spans)


@pytest.mark.filterwarnings("ignore:.*InstrumentationInfo:DeprecationWarning")
@pytest.mark.parametrize(
    "one",
    [
        record(),
        record(caller=None),
        record(caller=("a" * 32, "b" * 16, False, "")),
        record(caller=("a" * 32, "b" * 16, True, "vendor=1,other=2")),
        record(kind="500", status=500),
        record(more={"user.id": "u-1"}),
        record(path="/" + "long/" * 900, query="a=1&token=secret", user_agent="é" * 700),
        record(path="/ü/“quoted”", remote_ip="", user_agent="", host="", route=""),
        record(method="BREW", elapsed_s=0.0, sampled=False),
    ],
)
def test_it_is_what_googles_exporter_makes_of_it(one: Record) -> None:
    """Each kind of request, twice, as the second finds what the first has left."""
    spans = ended()
    requests = TraceRequests("p1")
    for _ in range(2):
        assert ours(requests, [one, one], spans) == googles([spans.built(one, RESOURCE)] * 2)


def test_the_share_of_sampled_requests_is_exact() -> None:
    """It is a fraction, which Google's exporter would round."""
    (span,) = ours(TraceRequests("p1"), [record()], ended(0.12345))
    assert span.attributes.attribute_map["obskit.sample_ratio"].string_value.value == "0.12345"


def test_requests_and_other_spans_in_one_batch() -> None:
    """All are in the request; without a request among them it is Google's."""
    other = TracerProvider(resource=RESOURCE).get_tracer("lib").start_span("query")
    other.end()
    requests = TraceRequests("p1")
    found = ours(requests, [record(), other, record(caller=CALLER, span_id="d" * 16)], ended())
    assert sorted(span.display_name.value for span in found) == ["GET /items/{item}", "GET /items/{item}", "query"]
    assert ours(requests, [other], None) == googles([other])


def test_another_resource_is_not_the_one_before() -> None:
    """After a fork the spans have the new process's id."""
    owners = [RESOURCE.merge(Resource({"service.instance.id": name})) for name in ("before", "after")]
    spans = EndedSpans(lambda: owners[0], 1.0, Shown(Redactor(())))
    requests, found = TraceRequests("p1"), []
    while owners:
        (span,) = ours(requests, [record()], spans)
        found.append(span.attributes.attribute_map["service.instance.id"].string_value.value)
        del owners[0]
    assert found == ["before", "after"]


def test_what_cannot_be_encoded_is_said() -> None:
    """A value that no backend could read fails the batch, which is then divided, and nothing of it is made."""
    other = TracerProvider(resource=RESOURCE).get_tracer("lib").start_span("query \ud800")
    other.end()
    with pytest.raises(ValueError, match="cannot be encoded"):
        ours(TraceRequests("p1"), [record(), other], ended())
