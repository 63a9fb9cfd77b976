"""Where the past is read from: a folder of the local backend, or Prometheus' query API over HTTP."""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import google.auth
import requests
from google.auth import exceptions as auth_exceptions
from google.auth.transport.requests import AuthorizedSession

from obskit.backtest.points import cut, typed_series
from obskit.engine.logs import LogSource
from obskit.engine.promql import evaluate_range, select_window
from obskit.engine.series import Series, TypedSeries
from obskit.errors import BackendError, Problem, QueryError
from obskit.local.store import Store
from obskit.queries.filters import Filter

__all__ = ["Folder", "Past", "Prometheus", "google_past", "local_past"]

MOST_POINTS: Final = 11_000
"""Of one series in one answer; Prometheus' own limit, and Google's."""

_TIMEOUT_S: Final = 300.0
_CHARS: Final = 300
_SCOPES: Final = ["https://www.googleapis.com/auth/monitoring.read"]
_LOG_IN: Final = "Run `gcloud auth application-default login`, or name another source: --local, --prometheus or --data"


class Past(Protocol):
    """The series of the past."""

    place: str
    """Where they come from, for people."""
    logs: LogSource | None
    """Its log entries, None where it has none."""

    def range(self, query: str, start_ms: int, end_ms: int, step_ms: int) -> Sequence[Series]:
        """Return a query's series at every step, from the first to the last moment."""

    def raw(self, selector: str, start_ms: int, end_ms: int) -> Sequence[Series]:
        """Return the points of the series of a selector as they are."""

    def list_series(self, filter: Filter, start_ms: int, end_ms: int) -> Sequence[TypedSeries]:  # noqa: A002
        """Return the series of a filter of Cloud Monitoring's."""


class Folder:
    """What ``obskit local --data FOLDER`` has kept.

    Args:
        store: opened on the folder; it is not written to.
    """

    def __init__(self, store: Store, place: str) -> None:
        self.place = place
        self.store = store
        self.logs: LogSource | None = store.logs

    def range(self, query: str, start_ms: int, end_ms: int, step_ms: int) -> Sequence[Series]:
        """Return a query's series at every step."""
        return evaluate_range(query, self.store.metrics, start_ms, end_ms, step_ms)

    def raw(self, selector: str, start_ms: int, end_ms: int) -> Sequence[Series]:
        """Return the points of a selector's series."""
        return select_window(f"{selector}[{end_ms - start_ms}ms]", self.store.metrics, end_ms) or []

    def list_series(self, filter: Filter, start_ms: int, end_ms: int) -> Sequence[TypedSeries]:  # noqa: A002
        """Return the series of a filter."""
        return self.store.series.list_series(filter, start_ms, end_ms)


class Prometheus:
    """A server with Prometheus' query API.

    Args:
        session: carries a token where one is needed.
        url: up to ``/api/v1``, without it.
        place: what people call it.
        series_url: Cloud Monitoring's ``…/v3/projects/P/timeSeries``, empty where there is none.
    """

    logs: LogSource | None = None

    def __init__(self, session: requests.Session, url: str, *, place: str, series_url: str = "") -> None:
        self._session = session
        self._url = f"{url.rstrip('/')}/api/v1"
        self._series_url = series_url
        self._known: dict[str, tuple[int, int, list[tuple[TypedSeries, list[int]]]]] = {}
        self.place = place

    @classmethod
    def at(cls, url: str) -> Prometheus:
        """Return a server of Prometheus itself, or one that speaks as it does."""
        session = requests.Session()
        session.trust_env = False
        return cls(session, url if "://" in url else f"http://{url}", place=url)

    def range(self, query: str, start_ms: int, end_ms: int, step_ms: int) -> Sequence[Series]:
        """Return a query's series at every step, asked for in pieces where there are many.

        Raises:
            BackendError: it does not answer, or refuses the query.
        """
        columns: dict[str, tuple[Mapping[str, str], array[int], array[float]]] = {}
        width = step_ms * (MOST_POINTS - 1)
        for begin in range(start_ms, end_ms + 1, width + step_ms):
            last = min(end_ms, begin + width)
            form = {"query": query, "start": _seconds(begin), "end": _seconds(last), "step": f"{step_ms / 1000:g}"}
            self._add(columns, self._asked("query_range", form)["result"])
        return [Series(labels, times, values) for labels, times, values in columns.values()]

    def raw(self, selector: str, start_ms: int, end_ms: int) -> Sequence[Series]:
        """Return the points of a selector's series, a day at a time.

        Raises:
            BackendError: it does not answer, or refuses the query.
        """
        columns: dict[str, tuple[Mapping[str, str], array[int], array[float]]] = {}
        for begin in range(start_ms, end_ms, 86_400_000):
            end = min(end_ms, begin + 86_400_000)
            form = {"query": f"{selector}[{end - begin}ms]", "time": _seconds(end)}
            self._add(columns, self._asked("query", form)["result"])
        return [Series(labels, times, values) for labels, times, values in columns.values()]

    def list_series(self, filter: Filter, start_ms: int, end_ms: int) -> Sequence[TypedSeries]:  # noqa: A002
        """Return the series of a filter; a wider window than the one before is asked for anew.

        Raises:
            QueryError: this server has no such series.
            BackendError: it does not answer, or refuses the filter.
        """
        if not self._series_url:
            problem = "a condition on a filter needs Cloud Monitoring's own series, which Prometheus has not"
            way_out = "Name a project, a local backend (--local) or its folder (--data)"
            raise QueryError(Problem(place=self.place, problem=problem, way_out=way_out))
        known = self._known.get(filter.text)
        if known is None or start_ms < known[0] or end_ms > known[1]:
            # One request for weeks instead of one for each minute of them.
            reach = max(end_ms - start_ms, 86_400_000)
            low, high = min(start_ms, known[0] if known else start_ms), end_ms + reach
            series = typed_series(self._pages(filter.text, low, high))
            known = (low, high, [(each, [point.end_ms for point in each.points]) for each in series])
            self._known[filter.text] = known
        return [found for each, ends in known[2] if (found := cut(each, ends, start_ms, end_ms)).points]

    def _pages(self, text: str, start_ms: int, end_ms: int) -> list[Mapping[str, Any]]:
        rows: list[Mapping[str, Any]] = []
        params = {"filter": text, "interval.startTime": _rfc3339(start_ms), "interval.endTime": _rfc3339(end_ms)}
        while True:
            document = self._answered(self._series_url, "get", params=params)
            rows += document.get("timeSeries") or ()
            if not document.get("nextPageToken"):
                return rows
            params["pageToken"] = document["nextPageToken"]

    def _add(
        self, columns: dict[str, tuple[Mapping[str, str], array[int], array[float]]], rows: Sequence[Mapping[str, Any]]
    ) -> None:
        for row in rows:
            key = json.dumps(row["metric"], sort_keys=True)
            _, times, values = columns.setdefault(key, (row["metric"], array("q"), array("d")))
            for second, text in row["values"]:
                at_ms = round(float(second) * 1000)
                if not times or at_ms > times[-1]:
                    times.append(at_ms)
                    values.append(_number(text))

    def _asked(self, service: str, form: Mapping[str, str]) -> Any:
        return self._answered(f"{self._url}/{service}", "post", data=form)["data"]

    def _answered(self, url: str, method: str, **given: Any) -> Mapping[str, Any]:
        try:
            answer = self._session.request(method, url, timeout=_TIMEOUT_S, **given)
            document: Any = answer.json()
        except auth_exceptions.GoogleAuthError as error:
            raise self._failed(f"no usable credentials: {error}", _LOG_IN) from error
        except (requests.RequestException, ValueError) as error:
            problem = f"it does not answer: {type(error).__name__}"
            raise self._failed(problem, "Check the address and try again") from error
        if answer.ok and document.get("status", "success") == "success":
            return document  # type: ignore[no-any-return]
        said = document.get("error", "")
        said = said.get("message", "") if isinstance(said, dict) else said
        way_out = "Mend the query" if answer.status_code == 400 else "Check the address, and your role in the project"
        raise self._failed(f"it refused (HTTP {answer.status_code}): {str(said)[:_CHARS]}", way_out)

    def _failed(self, problem: str, way_out: str) -> BackendError:
        return BackendError(Problem(place=self.place, problem=problem, way_out=way_out))


def local_past(url: str, project: str) -> Prometheus:
    """Return the past of a local backend that runs."""
    session = requests.Session()
    session.trust_env = False  # no proxy stands between us and this machine
    return _monitoring(session, url.rstrip("/"), project, place=f"local backend at {url}")


def google_past(project: str) -> Prometheus:
    """Return the past of a project, with the default credentials.

    Raises:
        BackendError: there are none.
    """
    try:
        credentials, _ = google.auth.default(scopes=_SCOPES)
    except auth_exceptions.GoogleAuthError as error:
        problem = f"no usable Google credentials: {error}"
        raise BackendError(Problem(place=f"project {project!r}", problem=problem, way_out=_LOG_IN)) from error
    session: requests.Session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
    return _monitoring(session, "https://monitoring.googleapis.com", project, place=f"project {project!r}")


def _monitoring(session: requests.Session, url: str, project: str, *, place: str) -> Prometheus:
    path = f"{url}/v1/projects/{project}/location/global/prometheus"
    return Prometheus(session, path, place=place, series_url=f"{url}/v3/projects/{project}/timeSeries")


def _seconds(at_ms: int) -> str:
    return f"{at_ms / 1000:.3f}"


def _rfc3339(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _number(text: object) -> float:
    return math.inf if text == "+Inf" else float(str(text))
