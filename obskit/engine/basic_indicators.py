"""Basic indicators, spelled out: which of Google's metrics count the requests of a known kind of service.

That a request is good unless it fails by the server's fault (5xx) is assumed; the documentation does not spell it out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from obskit.engine.conditions import UnsupportedError, seconds_ms
from obskit.errors import Problem
from obskit.queries.filters import quote

__all__ = ["explicit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """Where a kind of service has its requests: the labels are REST field → label of the monitored resource."""

    resource: str
    labels: Mapping[str, str]
    count: str
    failed: str
    latency: str
    version: str


_CLOUD_RUN: Final = _Known(
    resource="cloud_run_revision",
    labels={"serviceName": "service_name", "location": "location"},
    count="run.googleapis.com/request_count",
    failed='metric.labels.response_code_class="5xx"',
    latency="run.googleapis.com/request_latencies",
    version="revision_name",
)
_APP_ENGINE: Final = _Known(
    resource="gae_app",
    labels={"moduleId": "module_id"},
    count="appengine.googleapis.com/http/server/response_count",
    failed="metric.labels.response_code>=500",
    latency="appengine.googleapis.com/http/server/response_latencies",
    version="version_id",
)
_KNOWN: Final = {"cloudRun": _CLOUD_RUN, "appEngine": _APP_ENGINE}
_TYPES: Final = {"CLOUD_RUN": _CLOUD_RUN, "APP_ENGINE": _APP_ENGINE}


def explicit(basic: Mapping[str, Any], service: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return a basic indicator as the ``RequestBasedSli`` that it stands for.

    Args:
        basic: a ``BasicSli`` in JSON.
        service: the SLO's service.
        place: of the SLO, for messages.

    Raises:
        UnsupportedError: it is not known which metrics the service has, or the indicator asks for methods.
    """
    known, labels = _of(service)
    if known is None:
        kinds = [name for name in service if isinstance(service[name], Mapping) and name != "userLabels"]
        problem = f"its service is of a kind ({', '.join(kinds) or 'none'}) whose metrics are not known here"
        raise _refusal(
            place, problem, "Spell it out as a RatioSLI or DistributionSLI; Cloud Run and App Engine are known"
        )
    if basic.get("method"):
        raise _refusal(place, f"{known.resource} has no methods", "Leave out method")
    where = [f'resource.type="{known.resource}"', *(f"resource.labels.{name}={quote(v)}" for name, v in labels.items())]
    for field, label in (("location", "location"), ("version", known.version)):
        if basic.get(field):
            where.append(f"resource.labels.{label}={_one_of(basic[field])}")
    if "latency" in basic:
        text = " AND ".join([f'metric.type="{known.latency}"', *where])
        most = seconds_ms((basic["latency"] or {}).get("threshold"))  # both metrics are in milliseconds
        return {"distributionCut": {"distributionFilter": text, "range": {"max": float(most)}}}
    text = " AND ".join([f'metric.type="{known.count}"', *where])
    return {"goodTotalRatio": {"badServiceFilter": f"{text} AND {known.failed}", "totalServiceFilter": text}}


def _of(service: Mapping[str, Any]) -> tuple[_Known | None, dict[str, str]]:
    basic = service.get("basicService") or {}
    if (known := _TYPES.get(str(basic.get("serviceType")))) is not None:
        return known, {str(name): str(value) for name, value in (basic.get("serviceLabels") or {}).items()}
    for field, known in _KNOWN.items():
        if field in service:
            body = service[field] or {}
            return known, {label: str(body[name]) for name, label in known.labels.items() if body.get(name)}
    return None, {}


def _one_of(values: Sequence[object]) -> str:
    return f"one_of({', '.join(quote(str(value)) for value in values)})"


def _refusal(place: str, problem: str, way_out: str) -> UnsupportedError:
    return UnsupportedError(Problem(place=place, problem=problem, way_out=way_out))
