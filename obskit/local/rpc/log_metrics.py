"""MetricsServiceV2: log-based metrics. What they count is worked out where entries come in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import grpc

from obskit.engine.conditions import UnsupportedError
from obskit.engine.log_filters import compile_filter
from obskit.engine.log_metrics import bounds_of
from obskit.errors import QueryError
from obskit.local.rpc.documents import existing, json_of, refuse
from obskit.local.rpc.failure import Refused, invalid, missing
from obskit.local.rpc.paging import page_of
from obskit.local.rpc.times import text_of_ms
from obskit.local.store import Store

__all__ = ["create_log_metric", "delete_log_metric", "get_log_metric", "list_log_metrics", "update_log_metric"]

Answer = Mapping[str, Any]
_NAME: Final = re.compile(r"[A-Za-z0-9_\-.,+!*',()%/]{1,100}")
_EXTRACT: Final = re.compile(r"(REGEXP_)?EXTRACT\(.+\)", re.DOTALL)
_KEPT: Final = "obskitResource"  # the store's key; the API's own name is the identifier alone


def _faults(metric: Mapping[str, Any]) -> Iterator[str]:
    if not _NAME.fullmatch(metric.get("name") or "") or metric["name"].startswith("/"):
        yield "Field metric.name must be at most 100 characters of A-Z, a-z, 0-9 and _-.,+!*',()%/."
    if not metric.get("filter"):
        yield "Field metric.filter is required."
    if len(metric.get("description") or "") > 8000:
        yield "Field metric.description must have at most 8,000 characters."
    described = metric.get("metricDescriptor") or {}
    extractors = metric.get("labelExtractors") or {}
    if {label.get("key") for label in described.get("labels") or ()} != set(extractors):
        yield "Field metric.label_extractors must have one extractor for each label of the descriptor."
    for extractor in (*extractors.values(), *([metric["valueExtractor"]] if metric.get("valueExtractor") else ())):
        if not _EXTRACT.fullmatch(extractor):
            yield f"{extractor!r} is not a valid extractor."
    yield from _filter_faults(str(metric.get("filter") or ""))
    yield from _bucket_faults(metric.get("bucketOptions") or {})
    if bool(metric.get("valueExtractor")) != (described.get("valueType") == "DISTRIBUTION"):
        yield "Field metric.value_extractor goes with the value type DISTRIBUTION."


def _filter_faults(text: str) -> Iterator[str]:
    """A filter that Cloud Logging takes and that is not matched here is no fault; the metric counts nothing then."""
    try:
        compile_filter(text)
    except UnsupportedError:
        return
    except QueryError as error:
        yield f"Field metric.filter had an invalid value: {error.problems[0].place}: {error.problems[0].problem}."


def _bucket_faults(options: Mapping[str, Any]) -> Iterator[str]:
    try:
        if options:
            bounds_of(options)
    except QueryError as error:
        yield f"Field metric.bucket_options had an invalid value: {error.problems[0].problem}."


def _shown(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in {**document, "name": document[_KEPT]}.items() if key != _KEPT}


def _filled(store: Store, metric: Mapping[str, Any], parent: str, created: str = "") -> dict[str, Any]:
    now = text_of_ms(store.clock.now_ms())
    described = {
        "metricKind": "DELTA",
        "valueType": "INT64",
        "unit": "1",
        **(metric.get("metricDescriptor") or {}),
        "name": f"{parent}/metricDescriptors/logging.googleapis.com/user/{metric['name']}",
        "type": f"logging.googleapis.com/user/{metric['name']}",
    }
    if metric.get("description"):
        described["description"] = metric["description"]
    return {
        **metric,
        "metricDescriptor": described,
        "createTime": created or now,
        "updateTime": now,
        _KEPT: metric["name"],
        "name": _stored_name(parent, metric["name"]),
    }


def _stored_name(parent: str, identity: str) -> str:
    return f"{parent}/metrics/{identity.replace('/', '%2F')}"


def _named(name: str) -> str:
    """Return the store's name of a metric that is asked for with or without its slash escaped."""
    parent, _, identity = name.partition("/metrics/")
    return _stored_name(parent, identity)


def create_log_metric(store: Store, request: Any) -> Answer:
    """Create a metric under its identifier."""
    metric = json_of(request.metric)
    refuse(list(_faults(metric)))
    document = _filled(store, metric, request.parent)
    if store.objects.get(document["name"]) is not None:
        raise Refused(grpc.StatusCode.ALREADY_EXISTS, f"Metric {metric['name']} already exists.")
    store.objects.put(document)
    store.log_metrics.count(())
    return _shown(document)


def get_log_metric(store: Store, request: Any) -> Answer:
    """Return one metric."""
    return _shown(existing(store, _named(request.metric_name)))


def list_log_metrics(store: Store, request: Any) -> Answer:
    """Return a page of a project's metrics."""
    found = [_shown(each) for each in store.objects.list("metrics", parent=request.parent)]
    page, token = page_of(found, request.page_size, request.page_token)
    return {"metrics": list(page), "nextPageToken": token}


def update_log_metric(store: Store, request: Any) -> Answer:
    """Replace a metric, or create it; its kind, its value type and the types of its labels stay."""
    metric = json_of(request.metric)
    refuse(list(_faults(metric)))
    name = _named(request.metric_name)
    current = store.objects.get(name)
    parent = name.partition("/metrics/")[0]
    document = _filled(store, metric, parent, (current or {}).get("createTime", ""))
    if document["name"] != name:
        raise invalid("Field metric.name cannot change.")
    if current is not None:
        for field in ("metricKind", "valueType"):
            if current["metricDescriptor"][field] != document["metricDescriptor"][field]:
                raise invalid(f"Field metric.metric_descriptor.{field} cannot change.")
    store.objects.put(document)
    store.log_metrics.count(())
    return _shown(document)


def delete_log_metric(store: Store, request: Any) -> Answer:
    """Delete a metric, and what it has counted."""
    document = store.objects.get(_named(request.metric_name))
    if document is None or not store.objects.delete(document["name"]):
        raise missing(request.metric_name)
    store.metrics.forget(document["metricDescriptor"]["type"])
    return {}
