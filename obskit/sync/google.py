"""Google's REST APIs, at Google or at a local backend: every field travels as it is, also those no client knows."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

import google.auth
import google.auth.exceptions
import requests
from google.auth.transport.requests import AuthorizedSession

from obskit.errors import BackendError, Problem
from obskit.sync.backend import BackendFailure
from obskit.sync.kinds import BUDGET, DASHBOARD, DESCRIPTOR, LOG_METRIC, OBJECTIVE, SERVICE, SNOOZE, UPTIME, Kind

__all__ = ["GoogleBackend", "local_url"]

_PAGE: Final = 1000
_TIMEOUT_S: Final = 60.0
_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
_READ_ATTEMPTS: Final = 4
_READ_AGAIN: Final = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED", "INTERNAL", "DEADLINE_EXCEEDED"})
_MONITORING: Final = "https://monitoring.googleapis.com"
# Kind → host and version, where they are not Monitoring's v3.
_PLACES: Final = {
    DASHBOARD: (_MONITORING, "v1"),
    LOG_METRIC: ("https://logging.googleapis.com", "v2"),
    BUDGET: ("https://billingbudgets.googleapis.com", "v1"),
}
# Filter texts that `metricDescriptors.list` is narrowed by: a project has ten thousand of Google's own.
_OWN: Final = ("custom.googleapis.com/", "external.googleapis.com/", "workload.googleapis.com/")
_STATUSES: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class GoogleBackend:
    """The objects of one project, and the budgets of its billing accounts."""

    def __init__(self, project: str, *, endpoint: str = "", pause: Callable[[float], None] = time.sleep) -> None:
        """Prepare; nothing is sent before the first call.

        Args:
            project: the project id.
            endpoint: a local backend, by HOST:PORT of its gRPC services or the URL of its HTTP services; empty means
                Google, with default credentials.
            pause: waits that many seconds before a read is tried again.

        Raises:
            BackendError: there are no credentials, or no local backend answers.
        """
        self.project = project
        self._pause = pause
        self._local = local_url(endpoint) if endpoint else ""
        self._credentials = None if endpoint else _credentials(project)
        self._own = threading.local()

    def list(self, kind: Kind, parents: Sequence[str] = ()) -> Sequence[Mapping[str, Any]]:
        """Return all objects of a kind: one call a page."""
        default = f"workspaces/{self.project}/services/-" if kind is OBJECTIVE else f"projects/{self.project}"
        found: list[Mapping[str, Any]] = []
        for parent in parents or (default,):
            query = {"pageSize": str(_PAGE)}
            if kind is DESCRIPTOR:
                query["filter"] = " OR ".join(f'metric.type = starts_with("{prefix}")' for prefix in _OWN)
            while True:
                page = self._read(kind, f"{parent}/{kind.collection}", query)
                found += [self._shown(kind, each) for each in page.get(kind.collection) or ()]
                if not page.get("nextPageToken"):
                    break
                query["pageToken"] = page["nextPageToken"]
        return found

    def get(self, kind: Kind, name: str) -> Mapping[str, Any]:
        """Return one object."""
        return self._shown(kind, self._read(kind, name, {}))

    def create(self, kind: Kind, document: Mapping[str, Any], *, parent: str = "", name: str = "") -> Mapping[str, Any]:
        """Create an object and return it."""
        parent = parent or f"projects/{self.project}"
        query = {}
        if kind is SERVICE or kind is OBJECTIVE:
            query["serviceId" if kind is SERVICE else "serviceLevelObjectiveId"] = name.rpartition("/")[2]
        body = {key: value for key, value in document.items() if key != "name" or kind is LOG_METRIC}
        return self._shown(kind, self._call("POST", kind, f"{parent}/{kind.collection}", query, body))

    def update(self, kind: Kind, name: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Replace what a definition says of an object."""
        if (
            kind is DESCRIPTOR
        ):  # Source: CreateMetricDescriptor: "The metric descriptor is updated if it already exists"
            return self.create(kind, document)
        if kind is LOG_METRIC:
            return self._shown(kind, self._call("PUT", kind, name, {}, document))
        mask = [field for field in kind.mask if not (kind is SNOOZE and field not in _movable(document))]
        if kind is UPTIME:
            mask = [field for field in mask if field in document or field not in {"httpCheck", "tcpCheck"}]
        query = {"updateMask": ",".join(mask)} if mask else {}
        return self._shown(kind, self._call("PATCH", kind, name, query, {**document, "name": name}))

    def delete(self, kind: Kind, name: str) -> None:
        """Delete an object; a channel only when nothing uses it any more; a snooze is ended."""
        if kind is not SNOOZE:
            self._call("DELETE", kind, name, {}, None)
            return
        found = self.get(kind, name)
        now = datetime.now(UTC)
        interval = {"endTime": _text(now + timedelta(seconds=5))}
        mask = "interval.endTime"
        if _moment(found["interval"]["startTime"]) > now:
            interval["startTime"] = _text(now + timedelta(seconds=2))
            mask += ",interval.startTime"
        self._call("PATCH", kind, name, {"updateMask": mask}, {"name": name, "interval": interval})

    def granted(self, resource: str, permissions: Sequence[str]) -> frozenset[str]:
        """Return those of some permissions that the caller has on a project or a billing account."""
        is_account = resource.startswith("billingAccounts/")
        host = (
            "https://cloudbilling.googleapis.com/v1" if is_account else "https://cloudresourcemanager.googleapis.com/v3"
        )
        base = f"{self._local}/{host.rpartition('/')[2]}" if self._local else host
        url = f"{base}/{resource}:testIamPermissions"
        answer = self._sent("POST", url, {}, {"permissions": [*permissions]})
        return frozenset(answer.get("permissions") or ())

    # ----------------------------------------------------------------- one call

    def _shown(self, kind: Kind, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return a document whose name is the whole resource name, also of a log-based metric."""
        if kind is not LOG_METRIC or str(document.get("name", "")).startswith("projects/"):
            return dict(document)
        name = f"projects/{self.project}/metrics/{str(document['name']).replace('/', '%2F')}"
        return {**document, "name": name}

    def _read(self, kind: Kind, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        for attempt in range(1, _READ_ATTEMPTS + 1):
            try:
                return self._call("GET", kind, path, query, None)
            except BackendFailure as failure:
                if failure.code not in _READ_AGAIN or attempt == _READ_ATTEMPTS:
                    raise
                self._pause(failure.retry_after_s or 0.3 * 2**attempt * random.uniform(0.5, 1.0))  # noqa: S311
        raise AssertionError("unreachable")  # pragma: no cover

    def _call(
        self, method: str, kind: Kind, path: str, query: Mapping[str, str], body: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        host, version = _PLACES.get(kind, (_MONITORING, "v3"))
        url = f"{self._local or host}/{version}/{quote(path, safe='/%-._~!$&()*+,;=@:')}"
        return self._sent(method, url, query, body)

    def _sent(self, method: str, url: str, query: Mapping[str, str], body: Mapping[str, Any] | None) -> dict[str, Any]:
        try:
            answer = self._session.request(method, url, params=dict(query), json=body, timeout=_TIMEOUT_S)
        except requests.RequestException as error:
            raise BackendFailure("UNAVAILABLE", f"{type(error).__name__}: {error}") from error
        except google.auth.exceptions.GoogleAuthError as error:
            raise BackendFailure("UNAUTHENTICATED", str(error)) from error
        try:
            found = answer.json() if answer.content else {}
        except ValueError:
            found = {}
        if answer.status_code < 300 and isinstance(found, dict):
            return found
        raise _failure(answer.status_code, found if isinstance(found, dict) else {}, answer)

    @property
    def _session(self) -> requests.Session:
        """The session of this thread: requests' sessions are not for several."""
        session: requests.Session | None = getattr(self._own, "session", None)
        if session is None:
            session = requests.Session() if self._local else AuthorizedSession(self._credentials)  # type: ignore[no-untyped-call]
            session.trust_env = not self._local  # a proxy has no business between us and this machine
            self._own.session = session
        return session


def _movable(document: Mapping[str, Any]) -> set[str]:
    """Return the fields of a snooze that can change now: not the start of one that has begun."""
    begun = _moment(document["interval"]["startTime"]) <= datetime.now(UTC)
    return {"displayName", "interval.endTime"} | (set() if begun else {"interval.startTime"})


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _failure(status: int, found: Mapping[str, Any], answer: requests.Response) -> BackendFailure:
    told = found.get("error")
    error = told if isinstance(told, Mapping) else {}
    code = str(error.get("status") or _STATUSES.get(status, "UNKNOWN"))
    wait: float | None = None
    for detail in error.get("details") or ():
        if str(detail.get("@type", "")).endswith("google.rpc.RetryInfo"):
            wait = float(str(detail.get("retryDelay", "0s")).removesuffix("s") or 0)
    if wait is None and (header := answer.headers.get("Retry-After", "")).isdecimal():
        wait = float(header)
    return BackendFailure(code, str(error.get("message") or answer.text[:500] or answer.reason), retry_after_s=wait)


def _credentials(project: str) -> Any:
    try:
        credentials, _ = google.auth.default(scopes=[_SCOPE])
    except google.auth.exceptions.GoogleAuthError as error:
        raise BackendError(
            Problem(
                place=f"project {project!r}",
                problem=f"no usable Google credentials: {error}",
                way_out="Run `gcloud auth application-default login`, or use --local for a local backend",
            )
        ) from error
    return credentials


def local_url(endpoint: str) -> str:
    """Return the address of a local backend's HTTP services, which its gRPC services know.

    Args:
        endpoint: HOST:PORT of its gRPC services, or the address itself.

    Raises:
        BackendError: it does not answer.
    """
    if endpoint.startswith(("http://", "https://")):
        return endpoint.rstrip("/")
    import grpc  # noqa: PLC0415 - only a local backend is asked by gRPC

    with grpc.insecure_channel(endpoint) as channel:
        try:
            return bytes(channel.unary_unary("/obskit.local.Backend/Where")(b"", timeout=10.0)).decode()
        except grpc.RpcError as error:
            code = getattr(error, "code", lambda: None)()
            raise BackendError(
                Problem(
                    place=f"local backend at {endpoint}",
                    problem=f"it does not answer ({getattr(code, 'name', 'UNKNOWN')})",
                    way_out="Start one with `obskit local`, or mend the address; nothing was written",
                )
            ) from error
