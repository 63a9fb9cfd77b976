"""Every metric that obskit records: the one vocabulary that the runtime and the definitions share.

The runtime records from this table, queries and ready-made definitions read it, and
``docs/metrics.md`` is generated from it. Nothing else in the package spells a metric's name.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from typing import Final

from obskit.frozen import Frozen

__all__ = [
    "AI_COST",
    "AI_FALLBACKS",
    "AI_GUARD_CIRCUIT",
    "AI_GUARD_REFUSED",
    "AI_GUARD_RETRIES",
    "AI_GUARD_THROTTLED",
    "AI_GUARD_WAIT",
    "AI_OPERATION_DURATION",
    "AI_OPERATION_INPUT",
    "AI_OPERATION_OUTPUT",
    "AI_RETRIES",
    "AI_ROUTE_COST",
    "AI_ROUTE_TOKENS",
    "AI_TIME_TO_FIRST_CHUNK",
    "AI_TOKENS",
    "AI_TOKEN_USAGE",
    "AI_UNITS",
    "AI_UNPRICED_CALLS",
    "AI_USAGE_CACHE_READ",
    "AI_USAGE_CACHE_WRITE",
    "AI_USAGE_INPUT",
    "AI_USAGE_OUTPUT",
    "AI_USAGE_REASONING",
    "BUDGET_COST",
    "BUDGET_REJECTIONS",
    "BUDGET_REMAINING",
    "BUDGET_STORE_FAILURES",
    "BUDGET_TOKENS",
    "BUDGET_WARNINGS",
    "HTTP_CLIENT_DURATION",
    "HTTP_SERVER_DURATION",
    "JOB_DURATION",
    "JOB_FAILURES",
    "JOB_LAST_SUCCESS",
    "METRICS",
    "OTHER",
    "PROVIDER_STATUS",
    "TELEMETRY_LOST",
    "Kind",
    "Label",
    "Metric",
    "Route",
    "metric_named",
    "prometheus_label",
    "promql_label",
    "promql_name",
]

OTHER: Final = "other"
"""The value that takes the place of a label's values beyond its cap."""


class Kind(StrEnum):
    """What a metric measures and how its points add up."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Route(StrEnum):
    """How metrics reach Cloud Monitoring; each route gives them another metric type.

    Source: "Export routes" of Google's migration guide from its own exporters to OTLP.
    """

    GCP = "gcp"
    """Google's OpenTelemetry exporters: ``workload.googleapis.com/NAME``."""
    OTLP = "otlp"
    """OTLP to ``telemetry.googleapis.com``: ``prometheus.googleapis.com/NAME/KIND``."""


class Label(Frozen):
    """One label of a metric.

    Attributes:
        name: the OpenTelemetry attribute's name.
        cap: how many distinct values one process may send; later ones become `OTHER`.
        help: what the value is.
    """

    name: str
    cap: int
    help: str


class Metric(Frozen):
    """One metric of the catalog.

    Attributes:
        name: the OpenTelemetry instrument's name.
        kind: counter, gauge or histogram.
        unit: in UCUM notation, e.g. ``s`` or ``{token}``.
        help: what one point says.
        labels: the attributes that a point may carry.
        buckets: upper bounds, ascending, for a histogram.
        is_int: whether points are whole numbers.
    """

    name: str
    kind: Kind
    unit: str
    help: str
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()
    is_int: bool = False

    def metric_type(self, route: Route) -> str:
        """Return the Cloud Monitoring metric type under which `route` stores this metric."""
        if route is Route.GCP:
            return f"workload.googleapis.com/{self.name}"
        return f"prometheus.googleapis.com/{self.name}/{self.kind}"

    def resource_type(self, route: Route) -> str:
        """Return the monitored resource type that `route` writes this metric against, off a Google platform."""
        return "generic_task" if route is Route.GCP else "prometheus_target"

    def label_key(self, label: str, route: Route) -> str:
        """Return the key under which `route` stores the attribute `label` in Cloud Monitoring."""
        return prometheus_label(label) if route is Route.GCP else label

    @property
    def label_names(self) -> tuple[str, ...]:
        """The names of the labels, in the catalog's order."""
        return tuple(label.name for label in self.labels)


_NOT_PROMETHEUS: Final = r"[^a-zA-Z0-9_]"


@lru_cache(maxsize=4096)
def prometheus_label(name: str) -> str:
    """Return a label's name with every character that classic Prometheus refuses replaced by ``_``."""
    return re.sub(_NOT_PROMETHEUS, "_", name)


@lru_cache(maxsize=4096)
def promql_name(metric_type: str) -> str:
    """Return the PromQL name of a Cloud Monitoring metric type.

    The first ``/`` becomes ``:``, every other special character ``_``;
    ``prometheus.googleapis.com/NAME/KIND`` is just NAME.

    Source: "Mapping Cloud Monitoring metric names to PromQL" in Google's documentation.
    """
    if metric_type.startswith("prometheus.googleapis.com/"):
        name = metric_type.removeprefix("prometheus.googleapis.com/")
        stem, _, kind = name.rpartition("/")
        known = kind in {"counter", "gauge", "histogram", "summary", "unknown"}
        return re.sub(r"[^a-zA-Z0-9_:]", "_", stem if known else name)
    domain, slash, rest = metric_type.partition("/")
    return re.sub(_NOT_PROMETHEUS, "_", domain) + (":" if slash else "") + re.sub(_NOT_PROMETHEUS, "_", rest)


def promql_label(label: str) -> str:
    """Return the PromQL spelling of an attribute's name, the same on both routes."""
    return prometheus_label(label)


# --------------------------------------------------------------------------- the table

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0)
# OpenTelemetry's advisory bounds for HTTP durations, plus 2 s, because that is where the shipped latency
# alert draws its line and a percentile is only exact at a bound, and 30 s and 60 s for AI-backed routes.
_AI_SECONDS = tuple(0.01 * 2**power for power in range(14))  # Source: GenAI semantic conventions, 0.01 … 81.92
_TOKENS = tuple(float(4**power) for power in range(14))  # Source: GenAI semantic conventions, 1 … 67108864

_METHOD = Label(name="http.request.method", cap=10, help="HTTP method; unknown ones are `_OTHER`")
_ROUTE = Label(name="http.route", cap=500, help="the route's template, e.g. `/items/{item_id}`")
_STATUS = Label(name="http.response.status_code", cap=70, help="HTTP status code")
_ERROR = Label(name="error.type", cap=50, help="exception type or status that made it fail; absent on success")
_OPERATION = Label(name="gen_ai.operation.name", cap=20, help="`chat`, `generate_content`, `embeddings`, …")
_PROVIDER = Label(name="gen_ai.provider.name", cap=20, help="`gcp.gemini`, `gcp.vertex_ai`, `openai`, …")
_MODEL = Label(name="gen_ai.request.model", cap=50, help="the model that was asked for")
_TIER = Label(name="user.tier", cap=10, help="the tier given to `obskit.bind(user_tier=…)`")
_PRIORITY = Label(name="obskit.priority", cap=4, help="`interactive` or `background`")
_AI = (_OPERATION, _PROVIDER, _MODEL)

HTTP_SERVER_DURATION = Metric(
    name="http.server.request.duration",
    kind=Kind.HISTOGRAM,
    unit="s",
    help="Duration of a request, from its first byte to the end of the response's body.",
    labels=(_METHOD, _ROUTE, _STATUS, _ERROR, Label(name="url.scheme", cap=4, help="`http` or `https`")),
    buckets=_SECONDS,
)
HTTP_CLIENT_DURATION = Metric(
    name="http.client.request.duration",
    kind=Kind.HISTOGRAM,
    unit="s",
    help="Duration of an outgoing HTTP request.",
    labels=(
        _METHOD,
        _STATUS,
        _ERROR,
        Label(name="server.address", cap=100, help="host that was called"),
        Label(name="server.port", cap=100, help="port that was called"),
    ),
    buckets=_SECONDS,
)
AI_OPERATION_DURATION = Metric(
    name="gen_ai.client.operation.duration",
    kind=Kind.HISTOGRAM,
    unit="s",
    help="Duration of one call to a model; with `error.type` = HTTP status (429, 503, …) when it failed.",
    labels=(*_AI, _TIER, _ERROR),
    buckets=_AI_SECONDS,
)
AI_TIME_TO_FIRST_CHUNK = Metric(
    name="gen_ai.client.operation.time_to_first_chunk",
    kind=Kind.HISTOGRAM,
    unit="s",
    help="Time from the call to the first chunk of a streamed reply.",
    labels=(*_AI, _TIER),
    buckets=_AI_SECONDS,
)
AI_TOKEN_USAGE = Metric(
    name="gen_ai.client.token.usage",
    kind=Kind.HISTOGRAM,
    unit="{token}",
    help="Tokens of one call by `gen_ai.token.type` (`input` includes cached, `output` includes thinking), "
    "where `genai_semconv` is `default` or `both`.",
    labels=(*_AI, Label(name="gen_ai.token.type", cap=4, help="`input` or `output`"), _TIER),
    buckets=_TOKENS,
)
_LATEST = "where `genai_semconv` is `latest` or `both`"
_MODALITY = Label(name="gen_ai.token.modality", cap=6, help="`text`, `audio`, `image`, `video` or `unknown`")
AI_OPERATION_INPUT = Metric(
    name="gen_ai.client.inference.operation.input_tokens",
    kind=Kind.HISTOGRAM,
    unit="{token}",
    help=f"Input tokens of one call, cached ones included, {_LATEST}.",
    labels=(*_AI, _TIER),
    buckets=_TOKENS,
)
AI_OPERATION_OUTPUT = Metric(
    name="gen_ai.client.inference.operation.output_tokens",
    kind=Kind.HISTOGRAM,
    unit="{token}",
    help=f"Output tokens of one call, reasoning included, {_LATEST}.",
    labels=(*_AI, _TIER),
    buckets=_TOKENS,
)
AI_USAGE_INPUT = Metric(
    name="gen_ai.client.inference.usage.input_tokens",
    kind=Kind.COUNTER,
    unit="{token}",
    help=f"Input tokens, cached ones included, {_LATEST}.",
    labels=(*_AI, _MODALITY, _TIER),
    is_int=True,
)
AI_USAGE_OUTPUT = Metric(
    name="gen_ai.client.inference.usage.output_tokens",
    kind=Kind.COUNTER,
    unit="{token}",
    help=f"Output tokens, reasoning included, {_LATEST}.",
    labels=(*_AI, _MODALITY, _TIER),
    is_int=True,
)
AI_USAGE_CACHE_READ = Metric(
    name="gen_ai.client.inference.usage.cache_read.input_tokens",
    kind=Kind.COUNTER,
    unit="{token}",
    help=f"Those of the input tokens that came from a cache, {_LATEST}.",
    labels=(*_AI, _MODALITY, _TIER),
    is_int=True,
)
AI_USAGE_CACHE_WRITE = Metric(
    name="gen_ai.client.inference.usage.cache_write.input_tokens",
    kind=Kind.COUNTER,
    unit="{token}",
    help=f"Those of the input tokens that were put into a cache, {_LATEST}.",
    labels=(*_AI, _MODALITY, _TIER),
    is_int=True,
)
AI_USAGE_REASONING = Metric(
    name="gen_ai.client.inference.usage.reasoning.output_tokens",
    kind=Kind.COUNTER,
    unit="{token}",
    help=f"Those of the output tokens that were reasoning, {_LATEST}.",
    labels=(*_AI, _MODALITY, _TIER),
    is_int=True,
)
AI_TOKENS = Metric(
    name="obskit.gen_ai.tokens",
    kind=Kind.COUNTER,
    unit="{token}",
    help="Billed tokens by finer kind; the kinds do not overlap, so their sum is what is billed.",
    labels=(
        *_AI,
        Label(
            name="obskit.token.kind",
            cap=8,
            help="`input` (without the others), `cached`, `cache_write`, `tool_use`, `output`, `thinking`",
        ),
        _TIER,
    ),
    is_int=True,
)
AI_UNITS = Metric(
    name="obskit.gen_ai.units",
    kind=Kind.COUNTER,
    unit="1",
    help="What is billed otherwise than by token, by `obskit.unit`.",
    labels=(
        *_AI,
        Label(
            name="obskit.unit",
            cap=20,
            help="`images`, `seconds`, `minutes`, `characters`, `searches`, `cache_token_hours`, …",
        ),
        _TIER,
    ),
)
AI_COST = Metric(
    name="obskit.gen_ai.cost",
    kind=Kind.COUNTER,
    unit="USD",
    help="Cost of calls in US dollars, by the list prices in force or the configured ones.",
    labels=(*_AI, _TIER),
)
AI_UNPRICED_CALLS = Metric(
    name="obskit.gen_ai.unpriced_calls",
    kind=Kind.COUNTER,
    unit="{call}",
    help="Calls whose price is unknown; their tokens are counted, their cost is not (and is not $0).",
    labels=(*_AI, _TIER),
    is_int=True,
)
AI_RETRIES = Metric(
    name="obskit.gen_ai.retries",
    kind=Kind.COUNTER,
    unit="{attempt}",
    help="Attempts inside one call that failed (`error.type`) and that the SDK tried again by itself.",
    labels=(*_AI, _TIER, _ERROR),
    is_int=True,
)
_BUDGET = (
    _TIER,
    Label(name="obskit.budget.scope", cap=4, help="who shares the budget: `caller`, `tier` or `all`"),
    Label(name="obskit.budget.period", cap=3, help="`day` or `month`"),
    Label(name="obskit.budget.unit", cap=3, help="`tokens` or `usd`"),
)
BUDGET_TOKENS = Metric(
    name="obskit.budget.tokens",
    kind=Kind.COUNTER,
    unit="{token}",
    help="Tokens that were settled with budgets.",
    labels=(_TIER,),
    is_int=True,
)
BUDGET_COST = Metric(
    name="obskit.budget.cost",
    kind=Kind.COUNTER,
    unit="USD",
    help="US dollars that were settled with budgets.",
    labels=(_TIER,),
)
BUDGET_REMAINING = Metric(
    name="obskit.budget.remaining",
    kind=Kind.GAUGE,
    unit="1",
    help="Share of a budget that is left, 0 to 1; of `caller` budgets the lowest that the process has seen in the "
    "period.",
    labels=_BUDGET,
)
BUDGET_WARNINGS = Metric(
    name="obskit.budget.warnings",
    kind=Kind.COUNTER,
    unit="{warning}",
    help="Budgets that have reached their warning, each once in a period.",
    labels=_BUDGET,
    is_int=True,
)
BUDGET_REJECTIONS = Metric(
    name="obskit.budget.rejections",
    kind=Kind.COUNTER,
    unit="{call}",
    help="Calls that were refused because a budget had not enough left.",
    labels=_BUDGET,
    is_int=True,
)
BUDGET_STORE_FAILURES = Metric(
    name="obskit.budget.store_failures",
    kind=Kind.COUNTER,
    unit="{call}",
    help="Calls during which the store of the budgets did not answer.",
    labels=(
        Label(
            name="obskit.budget.outcome",
            cap=4,
            help="`let_through` or `refused`, as configured; `unsettled`: what the call used was not counted in time",
        ),
    ),
    is_int=True,
)
_SERVED = Label(name="http.route", cap=500, help="the route of the request that made the call; absent outside of one")
AI_ROUTE_COST = Metric(
    name="obskit.gen_ai.route_cost",
    kind=Kind.COUNTER,
    unit="USD",
    help="Cost of calls in US dollars, by the route that made them.",
    labels=(_SERVED,),
)
AI_ROUTE_TOKENS = Metric(
    name="obskit.gen_ai.route_tokens",
    kind=Kind.COUNTER,
    unit="{token}",
    help="Billed tokens of calls, by the route that made them.",
    labels=(_SERVED,),
    is_int=True,
)
_JOB_SECONDS = (0.01, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 21600.0)
_JOB = Label(name="obskit.job.name", cap=200, help="the name given to `obskit.job`")
JOB_DURATION = Metric(
    name="obskit.job.duration",
    kind=Kind.HISTOGRAM,
    unit="s",
    help="Duration of one run of a job, with `error.type` when it failed.",
    labels=(_JOB, _ERROR),
    buckets=_JOB_SECONDS,
)
JOB_FAILURES = Metric(
    name="obskit.job.failures",
    kind=Kind.COUNTER,
    unit="{run}",
    help="Runs of a job that ended with an exception.",
    labels=(_JOB, _ERROR),
    is_int=True,
)
JOB_LAST_SUCCESS = Metric(
    name="obskit.job.last_success",
    kind=Kind.GAUGE,
    unit="s",
    help="When a job last succeeded, in seconds since 1970-01-01T00:00:00Z.",
    labels=(_JOB,),
)
PROVIDER_STATUS = Metric(
    name="provider_status",
    kind=Kind.GAUGE,
    unit="1",
    help="1 when the last health check of that name passed, 0 when it failed, raised or took too long.",
    labels=(Label(name="provider", cap=100, help="the name of the check"),),
    is_int=True,
)
AI_GUARD_WAIT = Metric(
    name="obskit.gen_ai.guard.wait",
    kind=Kind.HISTOGRAM,
    unit="s",
    help="Time that a call waited in a guard for its turn; calls that went at once are not in it.",
    labels=(_MODEL, _PRIORITY),
    buckets=_AI_SECONDS,
)
AI_GUARD_THROTTLED = Metric(
    name="obskit.gen_ai.guard.throttled",
    kind=Kind.COUNTER,
    unit="{call}",
    help="Guarded calls that the provider refused for being over a quota (429).",
    labels=(_MODEL, Label(name="obskit.quota", cap=4, help="`minute`, which passes, or `day`, which stays")),
    is_int=True,
)
AI_GUARD_REFUSED = Metric(
    name="obskit.gen_ai.guard.refused",
    kind=Kind.COUNTER,
    unit="{call}",
    help="Times that a guard would not make a call: it would have come too late, or in vain.",
    labels=(
        _MODEL,
        Label(name="obskit.reason", cap=10, help="`deadline`, `circuit_open`, `daily_quota`, `store_down`"),
    ),
    is_int=True,
)
AI_GUARD_RETRIES = Metric(
    name="obskit.gen_ai.guard.retries",
    kind=Kind.COUNTER,
    unit="{call}",
    help="Calls that a guard made again after a failure (`error.type`).",
    labels=(_MODEL, _ERROR),
    is_int=True,
)
AI_GUARD_CIRCUIT = Metric(
    name="obskit.gen_ai.guard.circuit",
    kind=Kind.GAUGE,
    unit="1",
    help="State of a guard's circuit breaker: 0 closed, 1 half-open, 2 open; told from its first opening on.",
    labels=(_MODEL,),
    is_int=True,
)
AI_FALLBACKS = Metric(
    name="obskit.gen_ai.fallbacks",
    kind=Kind.COUNTER,
    unit="{call}",
    help="Calls that a guard handed to a fallback, by the model that could not take them.",
    labels=(
        _MODEL,
        Label(name="obskit.fallback", cap=20, help="the model or function that took its place"),
        Label(name="obskit.reason", cap=10, help="`deadline`, `circuit_open`, `daily_quota`, `429`, `503`, …"),
    ),
    is_int=True,
)
TELEMETRY_LOST = Metric(
    name="obskit.telemetry.lost",
    kind=Kind.COUNTER,
    unit="{item}",
    help="Telemetry items that were dropped instead of delivered.",
    labels=(
        Label(name="obskit.signal", cap=4, help="`spans`, `metrics`, `logs`, `errors`"),
        Label(name="obskit.reason", cap=10, help="`queue_full`, `rejected`, `timeout`, …"),
    ),
    is_int=True,
)

METRICS: Final[tuple[Metric, ...]] = (
    HTTP_SERVER_DURATION,
    HTTP_CLIENT_DURATION,
    AI_OPERATION_DURATION,
    AI_TIME_TO_FIRST_CHUNK,
    AI_TOKEN_USAGE,
    AI_OPERATION_INPUT,
    AI_OPERATION_OUTPUT,
    AI_USAGE_INPUT,
    AI_USAGE_OUTPUT,
    AI_USAGE_CACHE_READ,
    AI_USAGE_CACHE_WRITE,
    AI_USAGE_REASONING,
    AI_TOKENS,
    AI_UNITS,
    AI_COST,
    AI_UNPRICED_CALLS,
    AI_RETRIES,
    AI_GUARD_WAIT,
    AI_GUARD_THROTTLED,
    AI_GUARD_REFUSED,
    AI_GUARD_RETRIES,
    AI_GUARD_CIRCUIT,
    AI_FALLBACKS,
    BUDGET_TOKENS,
    BUDGET_COST,
    BUDGET_REMAINING,
    BUDGET_WARNINGS,
    BUDGET_REJECTIONS,
    BUDGET_STORE_FAILURES,
    AI_ROUTE_COST,
    AI_ROUTE_TOKENS,
    JOB_DURATION,
    JOB_FAILURES,
    JOB_LAST_SUCCESS,
    PROVIDER_STATUS,
    TELEMETRY_LOST,
)

_BY_NAME: Final = {metric.name: metric for metric in METRICS}


def metric_named(name: str) -> Metric:
    """Return the catalog's metric of that OpenTelemetry name.

    Raises:
        KeyError: no such metric in the catalog.
    """
    return _BY_NAME[name]
