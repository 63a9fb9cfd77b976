"""API Gateway: do callers get answers, in time, and who answers wrongly, the gateway or the backend.

Its only metric counts requests. Latency, and who answered, are taken from its request log.
"""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Final

from obskit.alerts import Severity
from obskit.alerts.policies import AlertPolicy
from obskit.dashboards import Dashboard, LogsPanel, Plot, Row, Scorecard
from obskit.packs.packs import Objects, Pack, PackSettings
from obskit.packs.parts import PERCENT, alert, card, cards, chart, charts, early, entries, more_than, only, percent
from obskit.packs.ready._api_gateway_data import CASES, LATENCIES, LOG, REFUSED, REQUESTS, SCENARIO, SELF_MADE, TIMED
from obskit.queries import Query, highest, increase, percentile, rate, share
from obskit.queries.definitions import as_number, as_share, as_text, definition, given
from obskit.queries.durations import DurationLike, as_duration, shown_duration, whole_seconds
from obskit.queries.promql import Labels

__all__ = ["PACK", "Settings"]

_BY: Final = "gateway_id"
_LEGEND: Final = "${labels.gateway_id}"
_METHOD: Final = "${labels.method}"


@definition
class Settings(PackSettings):
    """What the pack can be told.

    Attributes:
        gateway: only this one; every gateway by itself when empty.
        failed: share of the requests that may end in a 5xx. Source: error ratio 5 %.
        refused: share of the requests that may end in a 4xx.
        least_requests: so many requests in 5 minutes are too few to judge by.
        latency: how long one request in twenty may take. Source: p95 2 s.
    """

    noun: ClassVar[str] = "settings of pack api-gateway"

    gateway: str = given(as_text, default="")
    failed: float = given(as_share, default=0.05)
    refused: float = given(as_share, default=0.3)
    least_requests: float = given(as_number, default=50)
    latency: DurationLike = given(as_duration, default=timedelta(seconds=2))


def _make(settings: Settings) -> Objects:
    failing, slow, denied = alerts = (_failing(settings), _slow(settings), _denied(settings))
    dashboard = Dashboard(
        id="api-gateway",
        display_name="API Gateway",
        rows=(
            cards(*_numbers(settings, failing, slow, denied), policies=alerts),
            _symptoms(settings, failing, slow, denied),
            *_causes(settings),
            LogsPanel(
                title="Failed requests",
                filter=entries(f"{LOG} AND httpRequest.status>=500", _BY, settings.gateway),
                height=12,
            ),
        ),
    )
    return Objects(dashboards=(dashboard,), alerts=alerts, resources=(TIMED, SELF_MADE))


def _where(settings: Settings) -> Labels:
    return only(_BY, settings.gateway)


def _requests(settings: Settings) -> Query:
    return increase(REQUESTS, where=_where(settings), by=_BY, window="5m")


def _failed(settings: Settings) -> Query:
    return increase(REQUESTS, where={**_where(settings), "response_code_class": "5xx"}, by=_BY, window="5m")


def _p95(settings: Settings) -> Query:
    return percentile(95, LATENCIES, where=_where(settings), by=_BY, window="2m")


def _failing(settings: Settings) -> AlertPolicy:
    return alert(
        "api-gateway-errors",
        "API Gateway: errors",
        more_than(settings.failed, _failed(settings), of=_requests(settings), least=settings.least_requests),
        to=settings.receivers.page,
        for_="2m",
        severity=Severity.CRITICAL,
        condition=f"5xx above {percent(settings.failed)}",
        means=f"More than {percent(settings.failed)} of a gateway's requests end in a 5xx. Callers see errors.",
        looks=(
            (
                "The *api-gateway* dashboard, answered by the gateway itself: a rise there is a backend that cannot be "
                "reached; without one, the backend's own answers are wrong."
            ),
            "The backend's dashboard and error groups of these minutes; `jsonPayload.backendRequest` names it.",
            "The latest API config: `gcloud api-gateway gateways describe` says which one is served.",
        ),
    )


def _refused(settings: Settings) -> Query:
    return increase(REQUESTS, where={**_where(settings), "response_code_class": "4xx"}, by=_BY, window="5m")


def _denied(settings: Settings) -> AlertPolicy:
    return alert(
        "api-gateway-refused",
        "API Gateway: callers are refused",
        more_than(settings.refused, _refused(settings), of=_requests(settings), least=settings.least_requests),
        to=settings.receivers.team,
        for_="10m",
        condition=f"4xx above {percent(settings.refused)}",
        means=f"More than {percent(settings.refused)} of a gateway's requests end in a 4xx: keys or tokens are not "
        "valid, a quota is used up, or callers ask for what does not exist.",
        looks=(
            "The *api-gateway* dashboard, answered by the gateway itself, by reason: authentication, quota, no route.",
            "One caller or all? `jsonPayload.apiKey` and `jsonPayload.consumerNumber` in the request log.",
            "The latest API config: a path or a security definition that was changed.",
        ),
    )


def _slow(settings: Settings) -> AlertPolicy:
    return alert(
        "api-gateway-slow",
        "API Gateway: slow",
        _p95(settings) > whole_seconds(settings.latency),
        to=settings.receivers.team,
        for_="5m",
        severity=Severity.ERROR,
        condition=f"p95 above {shown_duration(settings.latency)}",
        means=f"One request in twenty takes more than {shown_duration(settings.latency)}, the backend included.",
        looks=(
            "The *api-gateway* dashboard, p95 by method: one method, or all?",
            "The backend's own latency: if it is as before, the gateway or the network to it adds the time.",
            "Instances of the backend that start: a minimum of one takes the wait away.",
        ),
    )


def _numbers(settings: Settings, failing: AlertPolicy, slow: AlertPolicy, denied: AlertPolicy) -> tuple[Scorecard, ...]:
    where = _where(settings)
    whole = increase(REQUESTS, where=where, window="5m")
    return (
        card(
            "Errors (5xx)",
            share(increase(REQUESTS, where={**where, "response_code_class": "5xx"}, window="5m"), whole),
            unit=PERCENT,
            limits=(failing, early(failing, 0.2)),
        ),
        card("p95, slowest gateway", highest(_p95(settings)), unit="s", limits=(slow, early(slow, 0.5))),
        card(
            "Refused (4xx)",
            share(increase(REQUESTS, where={**where, "response_code_class": "4xx"}, window="5m"), whole),
            unit=PERCENT,
            limits=(denied,),
        ),
        card("Requests", rate(REQUESTS, where=where, window="5m"), unit="1/s"),
    )


def _symptoms(settings: Settings, failing: AlertPolicy, slow: AlertPolicy, denied: AlertPolicy) -> Row:
    return charts(
        chart(
            "Latency",
            {
                f"p{percent} {_LEGEND}": percentile(percent, LATENCIES, where=_where(settings), by=_BY, window="2m")
                for percent in (50, 95, 99)
            },
            unit="s",
            label="seconds",
            limits=[slow],
        ),
        chart(
            "Errors (5xx)",
            {_LEGEND: share(_failed(settings), _requests(settings))},
            unit=PERCENT,
            label="share of the requests",
            limits=[failing],
        ),
        chart(
            "Refused (4xx)",
            {_LEGEND: share(_refused(settings), _requests(settings))},
            unit=PERCENT,
            label="share of the requests",
            limits=[denied],
        ),
    )


def _causes(settings: Settings) -> tuple[Row, ...]:
    where = _where(settings)
    return (
        charts(
            chart(
                "Requests by status",
                {"${labels.response_code_class}": rate(REQUESTS, where=where, by="response_code_class", window="2m")},
                unit="1/s",
                label="requests per second",
                plot=Plot.STACKED_AREA,
            ),
            chart(
                "Answered by the gateway itself",
                {"${labels.reason}": increase(REFUSED, where=where, by="reason", window="1m")},
                unit="1",
                label="requests per minute",
                plot=Plot.STACKED_BAR,
            ),
            chart(
                "p95 by method",
                {_METHOD: percentile(95, LATENCIES, where=where, by="method", window="5m")},
                unit="s",
                label="seconds",
            ),
        ),
    )


PACK: Final = Pack(
    name="api-gateway",
    title="API Gateway",
    summary="Errors, latency and refused callers of API Gateway; latency is taken from its log, as there is no metric.",
    needs=("apigateway.googleapis.com", "logging.googleapis.com"),
    logs=f"{LOG} AND httpRequest.status>=400",
    settings=Settings,
    make=_make,
    scenario=SCENARIO,
    cases=CASES,
)
