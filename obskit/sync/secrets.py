"""Values of Secret Manager that definitions ask for, read before they are rendered and kept in memory only."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

import google.auth
import google.auth.exceptions
import requests
from google.auth.transport.requests import AuthorizedSession

from obskit.alerts import NotificationChannel
from obskit.alerts.channel_kinds import secret_names
from obskit.errors import BackendError, Problem
from obskit.queries.context import RenderContext
from obskit.resources import UptimeCheck

__all__ = ["SecretManager", "stand_in", "with_secrets"]

_URL: Final = "https://secretmanager.googleapis.com/v1/"
_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
_TIMEOUT_S: Final = 20.0


def with_secrets(definitions: Iterable[object], context: RenderContext, *, read: Callable[[str], str]) -> RenderContext:
    """Return the context with the value of every secret that definitions of its stack ask for.

    Args:
        definitions: of any kind.
        context: what they will be rendered for.
        read: returns the value of a secret's version, by its resource name.

    Raises:
        BackendError: some cannot be read; all of them are told.
    """
    wanted: dict[str, str] = {}
    for definition in definitions:
        if isinstance(definition, NotificationChannel | UptimeCheck) and definition.is_for(context.stack):
            here = definition.for_stack(context.stack)
            wanted |= dict.fromkeys(secret_names(here.secrets, context), here.place)
    found: dict[str, str] = {}
    problems: list[Problem] = []
    for name, place in wanted.items():
        try:
            found[name] = read(name)
        except BackendError as error:
            problems += [each.but(place=f"{place}: {name}") for each in error.problems]
    if problems:
        raise BackendError(problems)
    return replace(context, secrets={**context.secrets, **found})


def stand_in(name: str) -> str:
    """Return what stands for a secret at a local backend, which needs none: its name."""
    return name


class SecretManager:
    """Secret Manager over its REST API, with the credentials of the environment; logs in when it is first asked."""

    def __init__(self, url: str = _URL, *, session: requests.Session | None = None) -> None:
        """Prepare; nothing is sent yet.

        Args:
            url: where the API is.
            session: sends the requests; one with default credentials when not given.
        """
        self._url = url
        self._session = session

    def read(self, name: str) -> str:
        """Return the value of a secret's version.

        Raises:
            BackendError: it cannot be read; the problem says what to grant.
        """
        session = self._session or _logged_in()
        self._session = session
        try:
            answer = session.get(f"{self._url}{name}:access", timeout=_TIMEOUT_S)
        except (requests.RequestException, google.auth.exceptions.GoogleAuthError) as error:
            raise BackendError(_problem(f"Secret Manager does not answer: {error}", "Try again")) from error
        if answer.status_code != 200:
            raise BackendError(_refused(answer.status_code))
        try:
            return base64.b64decode(answer.json()["payload"]["data"]).decode()
        except (KeyError, TypeError, ValueError) as error:
            raise BackendError(_problem("its value is no text", "Store the bare key as text")) from error


def _logged_in() -> requests.Session:
    try:
        credentials, _ = google.auth.default(scopes=[_SCOPE])
    except google.auth.exceptions.GoogleAuthError as error:
        way_out = "Run `gcloud auth application-default login`, or use --local for a local backend"
        raise BackendError(_problem(f"no usable Google credentials: {error}", way_out)) from error
    session: requests.Session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
    return session


def _refused(status: int) -> Problem:
    reasons = {
        401: ("the credentials are not taken", "Log in, or give the job an identity"),
        403: ("it may not be read", "Grant roles/secretmanager.secretAccessor on it to the account that syncs"),
        404: ("there is no such version of a secret", "Make it, or mend its name"),
    }
    return _problem(*reasons.get(status, (f"Secret Manager answers {status}", "Try again")))


def _problem(problem: str, way_out: str) -> Problem:
    return Problem(place="Secret Manager", problem=problem, way_out=way_out)
