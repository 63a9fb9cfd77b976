"""Questions to Google's own APIs, with the credentials that the exporters use. Nothing is written."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import google.auth
import requests
from google.auth import exceptions as auth_exceptions
from google.auth.transport.requests import AuthorizedSession, Request

from obskit.doctor.clocks import Reading, reading_of

__all__ = ["Answer", "Google", "NoToken", "open_google"]

_SCOPES: Final = ["https://www.googleapis.com/auth/cloud-platform"]
_BASES: Final = {
    "cloudresourcemanager": "https://cloudresourcemanager.googleapis.com/",
    "run": "https://run.googleapis.com/",
}
_CHARS: Final = 300


class NoToken(Exception):
    """The credentials give no token; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an API has answered.

    Attributes:
        status: of HTTP; 0 where there was no answer.
        document: the body, empty unless it is a JSON object.
        trouble: why it is no success, in the API's own words.
    """

    status: int
    document: Mapping[str, Any] = field(default_factory=dict)
    trouble: str = ""


class Google:
    """Google's APIs, asked as the app would.

    Args:
        session: carries the token.
        environ: the environment; gcloud's own variables for other endpoints hold here too.

    Attributes:
        reading: the clock of the last server that answered.
    """

    def __init__(self, session: requests.Session, environ: Mapping[str, str]) -> None:
        self.reading: Reading | None = None
        self._session = session
        self._environ = environ

    def ask(self, api: str, path: str, *, body: Mapping[str, Any] | None = None, timeout_s: float) -> Answer:
        """Send a question: GET, or POST where there is a body.

        Args:
            api: its short name, ``run`` for instance.
            path: without a slash in front.
            body: sent as JSON.
            timeout_s: longest time to wait.
        """
        base = self._environ.get(f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api.upper()}") or _BASES[api]
        method, begun = ("GET" if body is None else "POST"), time.time()
        try:
            response = self._session.request(method, f"{base.rstrip('/')}/{path}", json=body, timeout=timeout_s)
        except (requests.RequestException, auth_exceptions.GoogleAuthError) as error:
            return Answer(status=0, trouble=f"{api}.googleapis.com cannot be reached ({type(error).__name__})")
        self.reading = reading_of(response.headers.get("Date"), begun, time.time(), place=f"{api}.googleapis.com")
        try:
            document = response.json()
        except ValueError:
            document = {}
        if not isinstance(document, dict):
            document = {}
        if response.ok:
            return Answer(status=response.status_code, document=document)
        refusal = document.get("error")
        said = refusal.get("message", "") if isinstance(refusal, dict) else ""
        return Answer(
            status=response.status_code, document=document, trouble=str(said or f"HTTP {response.status_code}")[:_CHARS]
        )


def open_google(environ: Mapping[str, str], *, timeout_s: float) -> tuple[Google, str]:
    """Return the APIs, and the project that the credentials name (may be empty).

    Raises:
        NoToken: there are no credentials, or they give no token.
    """
    try:
        credentials, project = google.auth.default(scopes=_SCOPES)
        if not getattr(credentials, "valid", False):
            credentials.refresh(partial(Request(), timeout=timeout_s))  # type: ignore[no-untyped-call]
    except (auth_exceptions.GoogleAuthError, ValueError, OSError) as error:
        raise NoToken(_said(error)) from error
    return Google(AuthorizedSession(credentials), environ), project or ""  # type: ignore[no-untyped-call]


def _said(error: Exception) -> str:
    first = error.args[0] if error.args else error
    return f"{type(error).__name__}: {first}"[:_CHARS]
