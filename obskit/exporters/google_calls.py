"""What a failed call of a Google client means for what was sent: try again, and when, or give it up."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TypeVar

import google.auth
import grpc
from google.api_core import exceptions
from google.auth import exceptions as auth_exceptions
from google.rpc import error_details_pb2

from obskit.errors import ConfigError, Problem
from obskit.signals.delivery import Outcome

if TYPE_CHECKING:
    from obskit.config import Config

__all__ = ["Access", "Calls", "open_access", "outcome_of", "quietly"]

_RETRYABLE: Final = (
    exceptions.ResourceExhausted,
    exceptions.TooManyRequests,
    exceptions.ServerError,  # 500 and above: unavailable, deadline exceeded, internal, …
    exceptions.Aborted,
    exceptions.RetryError,
    auth_exceptions.TransportError,
)
_AUTH_PAUSE_S: Final = 30.0
_LEAST_S: Final = 0.01  # when the time is over, a call fails at once with DeadlineExceeded
_DETAIL_CHARS: Final = 300

T = TypeVar("T")


def quietly(kind: type[T], **options: Any) -> T:
    """Make one of Google's OpenTelemetry exporters."""
    # They warn of their deprecation in __new__, once a process; it is this package's affair, not the app's.
    exporter = object.__new__(kind)
    exporter.__init__(**options)  # type: ignore[misc]
    return exporter


def outcome_of(error: Exception) -> Outcome:
    """Return what `error` says about a batch: nothing of it was delivered, and whether to try it again."""
    detail = f"{type(error).__name__}: {getattr(error, 'message', None) or error}"[:_DETAIL_CHARS]
    if isinstance(error, auth_exceptions.GoogleAuthError) and not isinstance(error, auth_exceptions.TransportError):
        return Outcome(reason="credentials", detail=detail, retry_after_s=_AUTH_PAUSE_S)
    if isinstance(error, exceptions.MethodNotImplemented) or not isinstance(error, _RETRYABLE):
        is_divisible = isinstance(error, exceptions.InvalidArgument)
        return Outcome(reason="rejected", detail=detail, is_divisible=is_divisible)
    return Outcome(reason="unavailable", detail=detail, retry_after_s=_retry_delay_s(error))


def _retry_delay_s(error: Exception) -> float:
    for item in getattr(error, "details", None) or ():
        if isinstance(item, error_details_pb2.RetryInfo):
            return max(0.0, float(item.retry_delay.seconds + item.retry_delay.nanos / 1e9))
    return 0.0


class Calls:
    """Gives the calls of one export a common deadline, and remembers the first that failed.

    Google's exporters log and swallow what their clients raise, so the clients that they are given tell it here.
    """

    def __init__(self) -> None:
        self.trouble: Outcome | None = None
        self._deadline = float("inf")

    def begin(self, timeout_s: float) -> None:
        """Start an export that may take that long altogether."""
        self.trouble = None
        self._deadline = time.monotonic() + timeout_s

    def run(self, call: Callable[..., Any], request: Any) -> Any:
        """Make one call without the client's own retries.

        Raises:
            Exception: whatever the client raised; it has been noted as `trouble`.
        """
        timeout_s = self._deadline - time.monotonic()
        try:
            return call(request=request, timeout=max(timeout_s, _LEAST_S), retry=None)
        except Exception as error:
            found = outcome_of(error)
            if self.trouble is None or self.trouble.retry_after_s is None:
                self.trouble = found
            raise


class Access:
    """How Google's clients reach their service: the local backend's channel, or credentials.

    Attributes:
        project: the id of the project to write to.
    """

    def __init__(self, project: str, credentials: Any | None, local_endpoint: str) -> None:
        self.project = project
        self._credentials = credentials
        self._channel = grpc.insecure_channel(local_endpoint) if local_endpoint else None

    def client(self, kind: Any) -> Any:
        """Make a client of that class."""
        if self._channel is None:
            return kind(credentials=self._credentials)
        return kind(transport=kind.get_transport_class("grpc")(channel=self._channel))

    def close(self) -> None:
        """Close what is shared."""
        if self._channel is not None:
            self._channel.close()


def _yield_to_greenlets() -> None:
    """Let gRPC wait in threads of gevent's, where it is at work, and not in the one that all greenlets share.

    It has to be asked for before the first channel. An app that uses gRPC itself has asked before.
    """
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("threading") and "grpc.experimental.gevent" not in sys.modules:
        import_module("grpc.experimental.gevent").init_gevent()


def open_access(config: Config) -> Access:
    """Find the credentials and the project.

    Raises:
        ConfigError: there are no credentials, or no project is known.
    """
    _yield_to_greenlets()
    if config.local_endpoint:
        return Access(config.project or "local-project", None, config.local_endpoint)
    try:
        credentials, found = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
    except auth_exceptions.DefaultCredentialsError as error:
        raise ConfigError(
            Problem(
                place="exporter 'gcp'",
                problem="there are no Google credentials, so traces, metrics and errors are dropped",
                way_out="Run `gcloud auth application-default login`, set GOOGLE_APPLICATION_CREDENTIALS, "
                'or choose another destination with exporters="otlp" or "console"',
            )
        ) from error
    project = config.project or found
    if not project:
        raise ConfigError(
            Problem(
                place="exporter 'gcp'",
                problem="the project is not known, so traces, metrics and errors are dropped",
                way_out="Set GOOGLE_CLOUD_PROJECT, or give project= to obskit.instrument",
            )
        )
    return Access(project, credentials, "")
