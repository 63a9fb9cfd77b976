"""Prometheus' query API of Cloud Monitoring, and of the local backend, which serves the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import google.auth
import requests
from google.auth import exceptions as auth_exceptions
from google.auth.transport.requests import AuthorizedSession

from obskit.errors import BackendError, Problem

__all__ = ["Monitoring", "google_monitoring", "local_monitoring"]

_TIMEOUT_S: Final = 120.0
_SCOPES: Final = ["https://www.googleapis.com/auth/monitoring.read"]
_CHARS: Final = 300


class Monitoring:
    """One project's metrics.

    Args:
        session: carries the token where one is needed.
        url: of the server.
        project: the project id.
    """

    def __init__(self, session: requests.Session, url: str, project: str) -> None:
        self._session = session
        self._url = f"{url.rstrip('/')}/v1/projects/{project}/location/global/prometheus/api/v1/query_range"
        self.place = f"project {project!r} at {url}"

    def query_range(self, query: str, *, start_s: int, end_s: int, step_s: int) -> Sequence[Mapping[str, Any]]:
        """Return a query's series: ``{"metric": labels, "values": [[seconds, text], …]}``.

        Raises:
            BackendError: it does not answer, or refuses the query.
        """
        form = {"query": query, "start": str(start_s), "end": str(end_s), "step": f"{step_s}s"}
        try:
            answer = self._session.post(self._url, data=form, timeout=_TIMEOUT_S)
            document = answer.json()
        except auth_exceptions.GoogleAuthError as error:
            raise self._failed(f"no usable credentials: {error}", _LOG_IN) from error
        except (requests.RequestException, ValueError) as error:
            raise self._failed(
                f"it does not answer: {type(error).__name__}", "Check the address and try again"
            ) from error
        if answer.ok and document.get("status") == "success":
            found: Sequence[Mapping[str, Any]] = document["data"]["result"]
            return found
        said = document.get("error", "")
        said = said.get("message", "") if isinstance(said, dict) else said
        raise self._failed(f"it refused the query (HTTP {answer.status_code}): {str(said)[:_CHARS]}", _GRANT)

    def _failed(self, problem: str, way_out: str) -> BackendError:
        return BackendError(Problem(place=self.place, problem=problem, way_out=way_out))


_LOG_IN: Final = "Run `gcloud auth application-default login`, or use --local for a local backend"
_GRANT: Final = "Grant roles/monitoring.viewer, and check the project's name"


def google_monitoring(project: str) -> Monitoring:
    """Return a project's metrics at Google, with the default credentials.

    Raises:
        BackendError: there are none.
    """
    try:
        session = _authorized()
    except auth_exceptions.GoogleAuthError as error:
        problem = f"no usable Google credentials: {error}"
        raise BackendError(Problem(place=f"project {project!r}", problem=problem, way_out=_LOG_IN)) from error
    return Monitoring(session, "https://monitoring.googleapis.com", project)


def _authorized() -> requests.Session:
    credentials, _ = google.auth.default(scopes=_SCOPES)
    session: requests.Session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
    return session


def local_monitoring(url: str, project: str) -> Monitoring:
    """Return the metrics of a local backend.

    Args:
        url: its HTTP address, with or without the scheme.
        project: the project id.
    """
    session = requests.Session()
    session.trust_env = False  # no proxy stands between us and this machine
    return Monitoring(session, url if "://" in url else f"http://{url}", project)
