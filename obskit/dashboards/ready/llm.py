"""The dashboard of AI calls: what they cost, how fast they are, whether they are refused, and why.

Source of the lines: the project's requirements: cost a day alert $75, target $50; cache hit rate alert 40 %, target
60 %; 429s alert 10 a minute; tokens a call alert 40,000, target 25,000; failed calls alert 1 %, target 0.1 %.
"""

from __future__ import annotations

from collections.abc import Sequence

from obskit.catalog import AI_COST, AI_OPERATION_DURATION, AI_TIME_TO_FIRST_CHUNK, AI_TOKENS, AI_UNPRICED_CALLS
from obskit.dashboards.charts import Color, DataSet, Direction, Plot, Scorecard, Spark, Threshold, XyChart
from obskit.dashboards.dashboards import Dashboard
from obskit.dashboards.layout import Row
from obskit.dashboards.panels import IncidentList
from obskit.dashboards.widgets import Policy
from obskit.queries.definitions import ready_made
from obskit.queries.metrics import growth, percentile, rate, share
from obskit.queries.promql import Labels, Query, matches

__all__ = ["FAILED", "llm"]

FAILED = "[^4].*|4[013-9].|42[0-8]"
"""What `error.type` is of a call that failed in any other way than for its quota (429)."""

_PERCENT = "10^2.%"
_MODEL = "gen_ai.request.model"
_BY_MODEL = "${labels.gen_ai_request_model}"
_INPUT_KINDS = "input|cached|cache_write|tool_use"


@ready_made("dashboard")
def llm(
    *,
    service: str | None = None,
    cost: Policy | float = 75.0,
    rate_limit: Policy | float = 10.0,
    errors: Policy | float = 0.01,
    down: Policy | None = None,
    cache: Policy | float = 0.4,
    tokens_per_call: Policy | float = 40_000.0,
    policies: Sequence[Policy | str] = (),
    id: str = "llm",  # noqa: A002 - the field's name
    display_name: str = "AI calls",
) -> Dashboard:
    """Return the dashboard of the AI calls of one service, or of all services together.

    Args:
        service: the service's name; all services together when not given.
        cost: the daily cost policy, whose threshold is drawn, or US dollars a day.
        rate_limit: the rate limit policy, whose threshold is drawn, or refused calls a minute.
        errors: the policy on failed calls, whose threshold is drawn, or a share of 0 to 1.
        down: the policy on a provider that is down, whose threshold is drawn beside that of `errors`.
        cache: the policy on the cache hit rate, whose threshold is drawn, or a share of 0 to 1.
        tokens_per_call: the policy on the tokens of a call, whose threshold is drawn, or tokens.
        policies: more policies whose incidents are listed.
        id: the dashboard's id.
        display_name: the dashboard's name.
    """
    where: Labels = {} if service is None else {"service": service}
    given = (cost, rate_limit, errors, down, cache, tokens_per_call)
    listed = [policy for policy in given if isinstance(policy, Policy)]
    return Dashboard(
        id=id,
        display_name=display_name,
        rows=(
            _cards(where, cost, rate_limit, cache, [*listed, *policies]),
            Row(widgets=(_latency(where), _first_chunk(where), _failed(where, errors, down))),
            Row(widgets=(_refused(where, rate_limit), _cost_per_hour(where), _cost_per_day(where, cost))),
            Row(widgets=(_tokens_by_model(where), _tokens_by_kind(where))),
            Row(widgets=(_cache(where, cache), _tokens_per_call(where, tokens_per_call), _unpriced(where))),
        ),
    )


def _line(limit: Policy | float) -> Policy | Threshold:
    return limit if isinstance(limit, Policy) else Threshold(value=limit, label="alert")


def _red(limit: Policy | float) -> Policy | Threshold:
    return limit if isinstance(limit, Policy) else Threshold(value=limit, color=Color.RED)


def _red_below(limit: Policy | float) -> Threshold:
    value = limit.threshold if isinstance(limit, Policy) else limit
    return Threshold(value=0.4 if value is None else value, color=Color.RED, direction=Direction.BELOW)


def _cards(
    where: Labels,
    cost: Policy | float,
    rate_limit: Policy | float,
    cache: Policy | float,
    policies: Sequence[Policy | str],
) -> Row:
    return Row(
        height=8,
        widgets=(
            Scorecard(
                title="Cost, last 24 h",
                query=growth(AI_COST, where=where, window="1d"),
                unit="USD",
                thresholds=(_red(cost), Threshold(value=50.0, color=Color.YELLOW)),
                width=8,
            ),
            Scorecard(
                title="Tokens, last 24 h", query=growth(AI_TOKENS, where=where, window="1d"), unit="{token}", width=8
            ),
            Scorecard(
                title="429s a minute",
                query=_refused_per_minute(where).otherwise(0),
                unit="1",
                thresholds=(_red(rate_limit),),
                spark=Spark.BAR,
                width=8,
            ),
            Scorecard(
                title="Cache hit rate",
                query=_hit_rate(where),
                unit=_PERCENT,
                thresholds=(
                    _red_below(cache),
                    Threshold(value=0.6, color=Color.YELLOW, direction=Direction.BELOW),
                ),
                spark=Spark.LINE,
                width=8,
            ),
            IncidentList(policies=policies),
        ),
    )


def _refused_per_minute(where: Labels) -> Query:
    return growth(AI_OPERATION_DURATION, where={**where, "error.type": "429"}, window="2m") / 2


def _hit_rate(where: Labels) -> Query:
    """Cached tokens over all input tokens, which include the cached ones."""
    return share(
        growth(AI_TOKENS, where={**where, "obskit.token.kind": "cached"}, window="10m"),
        growth(AI_TOKENS, where={**where, "obskit.token.kind": matches(_INPUT_KINDS)}, window="10m"),
    )


def _latency(where: Labels) -> XyChart:
    return XyChart(
        title="Duration of a call",
        data=[
            DataSet(
                query=percentile(percent, AI_OPERATION_DURATION, where=where, by=_MODEL, window="5m"),
                legend=f"p{percent} {_BY_MODEL}",
            )
            for percent in (50, 95)
        ],
        unit="s",
        label="seconds",
    )


def _first_chunk(where: Labels) -> XyChart:
    return XyChart(
        title="Time to first chunk",
        data=[
            DataSet(
                query=percentile(percent, AI_TIME_TO_FIRST_CHUNK, where=where, by=_MODEL, window="5m"),
                legend=f"p{percent} {_BY_MODEL}",
            )
            for percent in (50, 95)
        ],
        unit="s",
        label="seconds",
    )


def _failed(where: Labels, errors: Policy | float, down: Policy | None) -> XyChart:
    """The calls that fail in any way but for the quota, as the alert counts them."""
    others: Labels = {**where, "error.type": matches(FAILED)}
    shares = share(
        growth(AI_OPERATION_DURATION, where=others, by=_MODEL, window="5m"),
        growth(AI_OPERATION_DURATION, where=where, by=_MODEL, window="5m"),
    )
    return XyChart(
        title="Failed calls, those over the quota aside",
        data=[DataSet(query=shares, legend=_BY_MODEL)],
        thresholds=(*([] if down is None else [down]), _line(errors), Threshold(value=0.001, label="target")),
        unit=_PERCENT,
        label="share of calls",
    )


def _refused(where: Labels, rate_limit: Policy | float) -> XyChart:
    others: Labels = {**where, "error.type": matches(".+")}
    by_type = growth(AI_OPERATION_DURATION, where=others, by="error.type", window="2m") / 2
    return XyChart(
        title="Refused (429) and failed calls",
        data=[DataSet(query=by_type, legend="${labels.error_type}", plot=Plot.STACKED_BAR)],
        thresholds=(_line(rate_limit),),
        unit="1",
        label="calls per minute",
    )


def _cost_per_hour(where: Labels) -> XyChart:
    return XyChart(
        title="Cost per hour, at the pace of the last 10 min",
        data=[
            DataSet(
                query=rate(AI_COST, where=where, by=_MODEL, window="10m") * 3600,
                legend=_BY_MODEL,
                plot=Plot.STACKED_AREA,
            )
        ],
        unit="USD",
        label="USD per hour",
    )


def _cost_per_day(where: Labels, cost: Policy | float) -> XyChart:
    return XyChart(
        title="Cost of the last 24 h",
        data=[DataSet(query=growth(AI_COST, where=where, window="1d"), legend="all models", period="5m")],
        thresholds=(_line(cost), Threshold(value=50.0, label="target")),
        unit="USD",
        label="USD per day",
    )


def _tokens_by_model(where: Labels) -> XyChart:
    return XyChart(
        title="Tokens by model",
        data=[
            DataSet(
                query=rate(AI_TOKENS, where=where, by=_MODEL, window="5m") * 60,
                legend=_BY_MODEL,
                plot=Plot.STACKED_AREA,
            )
        ],
        unit="{token}",
        label="tokens per minute",
    )


def _tokens_by_kind(where: Labels) -> XyChart:
    return XyChart(
        title="Tokens by kind",
        data=[
            DataSet(
                query=rate(AI_TOKENS, where=where, by="obskit.token.kind", window="5m") * 60,
                legend="${labels.obskit_token_kind}",
                plot=Plot.STACKED_AREA,
            )
        ],
        unit="{token}",
        label="tokens per minute",
    )


def _cache(where: Labels, cache: Policy | float) -> XyChart:
    return XyChart(
        title="Cache hit rate",
        data=[DataSet(query=_hit_rate(where), legend="cached share of input")],
        thresholds=(_line(cache), Threshold(value=0.6, label="target")),
        unit=_PERCENT,
        label="share of input tokens",
    )


def _tokens_per_call(where: Labels, limit: Policy | float) -> XyChart:
    tokens = rate(AI_TOKENS, where=where, by=_MODEL, window="5m")
    calls = rate(AI_OPERATION_DURATION, where=where, by=_MODEL, window="5m")
    return XyChart(
        title="Tokens per call",
        data=[DataSet(query=tokens / calls, legend=_BY_MODEL)],
        thresholds=(_line(limit), Threshold(value=25_000, label="target")),
        unit="{token}",
        label="tokens",
    )


def _unpriced(where: Labels) -> XyChart:
    return XyChart(
        title="Calls without a known price",
        data=[
            DataSet(
                query=growth(AI_UNPRICED_CALLS, where=where, by=_MODEL, window="5m"),
                legend=_BY_MODEL,
                plot=Plot.STACKED_BAR,
                period="5m",
            )
        ],
        unit="1",
        label="calls in 5 min",
    )
