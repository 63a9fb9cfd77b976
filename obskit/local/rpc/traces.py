"""TraceService of Cloud Trace, version 2."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from google.protobuf import json_format

from obskit.local.ingest.spans import write_spans
from obskit.local.rpc.failure import invalid
from obskit.local.store import Store

__all__ = ["batch_write_spans", "create_span"]

Answer = Mapping[str, Any]
_NAME: Final = re.compile(r"projects/[^/]+/traces/[0-9a-f]{32}/spans/(?P<id>[0-9a-f]{16})")


def _check(span: Any, place: str) -> None:
    name = _NAME.fullmatch(span.name)
    if name is None:
        raise invalid(f"Field {place}.name had an invalid value of {span.name!r}: projects/P/traces/HEX32/spans/HEX16.")
    if span.span_id != name["id"]:
        raise invalid(f"Field {place}.span_id is not the id in its name.")
    if not span.display_name.value or not span.HasField("start_time") or not span.HasField("end_time"):
        raise invalid(f"Field {place} needs display_name, start_time and end_time.")
    if (span.end_time.seconds, span.end_time.nanos) < (span.start_time.seconds, span.start_time.nanos):
        raise invalid(f"Field {place}.end_time is before its start_time.")


def batch_write_spans(store: Store, request: Any) -> Answer:
    """Write spans."""
    for index, span in enumerate(request.spans):
        _check(span, f"spans[{index}]")
    write_spans(store, request.spans)
    return {}


def create_span(store: Store, request: Any) -> Answer:
    """Write one span."""
    _check(request, "span")
    write_spans(store, [request])
    found: dict[str, Any] = json_format.MessageToDict(request)
    return found
