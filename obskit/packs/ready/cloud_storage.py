"""Cloud Storage: do requests fail, is somebody refused, does a bucket grow."""

from __future__ import annotations

from typing import ClassVar, Final

from obskit.alerts import Severity
from obskit.alerts.policies import AlertPolicy
from obskit.dashboards import Dashboard, Plot, Row, Scorecard
from obskit.packs.cases import Case, Points
from obskit.packs.packs import Objects, Pack, PackSettings
from obskit.packs.parts import PERCENT, alert, card, cards, chart, charts, early, line, more_than, only, percent
from obskit.packs.scenarios import Bump, Scenario, Signal
from obskit.queries import Query, google, growth, latest, matches, rate, share
from obskit.queries.definitions import as_positive, as_share, as_text, definition, given
from obskit.queries.promql import Labels

__all__ = ["PACK", "Settings"]

_REQUESTS: Final = google("storage.googleapis.com/api/request_count")
_SENT: Final = google("storage.googleapis.com/network/sent_bytes_count")
_RECEIVED: Final = google("storage.googleapis.com/network/received_bytes_count")
_BYTES: Final = google("storage.googleapis.com/storage/v2/total_bytes")
_BY: Final = "bucket_name"
_LEGEND: Final = "${labels.bucket_name}"
# Source: the canonical codes of google.rpc that are the service's own fault, or its quota's.
_FAILED: Final = "INTERNAL|UNAVAILABLE|DEADLINE_EXCEEDED|RESOURCE_EXHAUSTED|UNKNOWN|5.."
_DENIED: Final = "PERMISSION_DENIED|UNAUTHENTICATED|401|403"


@definition
class Settings(PackSettings):
    """What the pack can be told.

    Attributes:
        bucket: only this one; every bucket by itself when empty.
        errors: share of requests that fail in the service. Source: the error spike's 5 %.
        denied: refused requests a minute.
    """

    noun: ClassVar[str] = "settings of pack cloud-storage"

    bucket: str = given(as_text, default="")
    errors: float = given(as_share, default=0.05)
    denied: float = given(as_positive, default=10)


def _make(settings: Settings) -> Objects:
    failing, locked = alerts = (_failing(settings), _locked(settings))
    dashboard = Dashboard(
        id="cloud-storage",
        display_name="Cloud Storage",
        rows=(
            cards(*_numbers(settings, failing, locked), policies=alerts),
            _symptoms(settings, failing, locked),
            *_causes(settings),
        ),
    )
    return Objects(dashboards=(dashboard,), alerts=alerts)


def _where(settings: Settings) -> Labels:
    return only(_BY, settings.bucket)


def _wrong(settings: Settings) -> Labels:
    return {**_where(settings), "response_code": matches(_FAILED)}


def _refused(settings: Settings) -> Labels:
    return {**_where(settings), "response_code": matches(_DENIED)}


def _every(settings: Settings) -> Query:
    return growth(_REQUESTS, where=_where(settings), by=_BY, window="5m")


def _failed(settings: Settings) -> Query:
    return growth(_REQUESTS, where=_wrong(settings), by=_BY, window="5m")


def _denied(settings: Settings) -> Query:
    return growth(_REQUESTS, where=_refused(settings), by=_BY, window="5m") / 5


def _failing(settings: Settings) -> AlertPolicy:
    return alert(
        "storage-errors",
        "Cloud Storage: requests fail",
        more_than(settings.errors, _failed(settings), of=_every(settings), least=20),
        to=settings.receivers.team,
        for_="5m",
        severity=Severity.ERROR,
        condition=f"more than {percent(settings.errors)} fail",
        means=f"More than {percent(settings.errors)} of the requests to a bucket fail in the service or at its quota. "
        "Files cannot be read or written; clients try again, and get slower.",
        looks=(
            "The *cloud-storage* dashboard, requests by code: `RESOURCE_EXHAUSTED` is us, the rest is the service.",
            "Google's status page, for the bucket's location.",
            "Many writes to one object, or to names that follow each other, in a bucket that is new to the load.",
        ),
    )


def _locked(settings: Settings) -> AlertPolicy:
    return alert(
        "storage-denied",
        "Cloud Storage: access denied",
        _denied(settings) > settings.denied,
        to=settings.receivers.team,
        for_="5m",
        condition=f"more than {settings.denied:g} a minute",
        means=f"More than {settings.denied:g} requests a minute to a bucket are refused: a permission is missing, or "
        "somebody tries what they may not.",
        looks=(
            "The *cloud-storage* dashboard, refused requests: since when? A change of IAM, a new service account?",
            "Data access logs of the bucket, if they are on: which principal, which object?",
            "Signed URLs that have expired, or that were signed with a key that was deleted.",
        ),
    )


def _numbers(settings: Settings, failing: AlertPolicy, locked: AlertPolicy) -> tuple[Scorecard, ...]:
    where = _where(settings)
    return (
        card("Requests", rate(_REQUESTS, where=where, window="5m"), unit="1/s"),
        card(
            "Failed requests",
            share(growth(_REQUESTS, where=_wrong(settings), window="5m"), growth(_REQUESTS, where=where, window="5m")),
            unit=PERCENT,
            limits=(failing, early(failing, 0.2)),
        ),
        card(
            "Refused a minute",
            (growth(_REQUESTS, where=_refused(settings), window="5m") / 5).otherwise(0),
            unit="1",
            limits=(locked,),
        ),
        card("Stored", latest(_BYTES, where=where), unit="By"),
    )


def _symptoms(settings: Settings, failing: AlertPolicy, locked: AlertPolicy) -> Row:
    return charts(
        chart(
            "Failed requests",
            {_LEGEND: share(_failed(settings), _every(settings))},
            unit=PERCENT,
            label="share of the requests",
            limits=(failing, line(failing, 0.2, "target")),
        ),
        chart("Refused requests", {_LEGEND: _denied(settings)}, unit="1", label="a minute", limits=(locked,)),
    )


def _causes(settings: Settings) -> tuple[Row, ...]:
    where = _where(settings)
    return (
        charts(
            chart(
                "Requests by code",
                {"${labels.response_code}": rate(_REQUESTS, where=where, by="response_code", window="5m")},
                unit="1/s",
                label="requests per second",
                plot=Plot.STACKED_AREA,
            ),
            chart(
                "Bytes sent and received",
                {
                    f"sent {_LEGEND}": rate(_SENT, where=where, by=_BY, window="5m"),
                    f"received {_LEGEND}": rate(_RECEIVED, where=where, by=_BY, window="5m"),
                },
                unit="By/s",
                label="bytes per second",
            ),
            chart(
                "Stored",
                {_LEGEND: latest(_BYTES, where=where, by=_BY)},
                unit="By",
                label="bytes",
                plot=Plot.STACKED_AREA,
            ),
        ),
    )


_MEDIA: Final = {"bucket_name": "shop-media", "location": "europe-west1"}


def _calls(code: str, method: str = "ReadObject") -> dict[str, str]:
    return {**_MEDIA, "response_code": code, "method": method}


PACK: Final = Pack(
    name="cloud-storage",
    title="Cloud Storage",
    summary="Failed and refused requests, traffic and size of buckets.",
    needs=("storage.googleapis.com",),
    logs='resource.type="gcs_bucket" AND severity>=ERROR',
    settings=Settings,
    make=_make,
    scenario=Scenario(
        says="A deployment takes a permission away: uploads are refused until it is given back.",
        signals=(
            Signal(metric=_REQUESTS, level=28, labels=_calls("OK"), swing=0.3, noise=0.08),
            Signal(metric=_REQUESTS, level=4, labels=_calls("OK", "WriteObject"), noise=0.15),
            Signal(metric=_REQUESTS, level=0.05, labels=_calls("UNAVAILABLE"), noise=0.5),
            Signal(
                metric=_REQUESTS,
                level=0.01,
                labels=_calls("PERMISSION_DENIED", "WriteObject"),
                noise=0.4,
                bumps=(Bump(at=0.6, lasts=0.15, level=350),),
            ),
            Signal(metric=_SENT, level=3_400_000, labels=_calls("OK"), swing=0.3, noise=0.1),
            Signal(metric=_RECEIVED, level=900_000, labels=_calls("OK", "WriteObject"), noise=0.2),
            Signal(
                metric=_BYTES,
                level=3.1e11,
                labels={**_MEDIA, "storage_class": "STANDARD", "type": "live-object"},
                noise=0,
                bumps=(Bump(at=0, lasts=1, level=1.06, is_gradual=True),),
            ),
        ),
    ),
    cases=(
        Case(
            alert="storage-errors",
            says="one request in ten fails",
            given=(Points(_REQUESTS, "90x40", _calls("OK")), Points(_REQUESTS, "_x10 10x30", _calls("UNAVAILABLE"))),
            open_at=("25m",),
            silent_at=("10m",),
            labels={"bucket_name": "shop-media"},
            tells={"slack": 1},
        ),
        Case(
            alert="storage-errors",
            says="files that are not there are nobody's failure",
            given=(Points(_REQUESTS, "90x40", _calls("OK")), Points(_REQUESTS, "30x40", _calls("NOT_FOUND"))),
        ),
        Case(
            alert="storage-denied",
            says="a permission is missing",
            given=Points(_REQUESTS, "_x10 40x30", _calls("PERMISSION_DENIED")),
            open_at=("25m",),
            silent_at=("10m",),
            tells={"slack": 1},
        ),
        Case(
            alert="storage-denied",
            says="a few expired links a minute",
            given=Points(_REQUESTS, "5x40", _calls("PERMISSION_DENIED")),
        ),
    ),
)
