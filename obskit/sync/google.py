"""Cloud Monitoring through Google's own clients, at Google or at a local backend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import google.auth.exceptions
import grpc
from google.api_core import exceptions
from google.api_core import retry as retries
from google.cloud import monitoring_dashboard_v1, monitoring_v3
from google.protobuf import field_mask_pb2, json_format
from google.rpc import error_details_pb2

from obskit.errors import BackendError, Problem
from obskit.sync.backend import BackendFailure
from obskit.sync.kinds import CHANNEL, DASHBOARD, POLICY, Kind

__all__ = ["GoogleBackend"]

_PAGE: Final = 500
_TIMEOUT_S: Final = 60.0
# The clients' own default tries for half a minute, too long to learn of a mistyped address.
_READ_RETRY: Final = retries.Retry(
    predicate=retries.if_exception_type(exceptions.ServiceUnavailable), initial=0.2, maximum=2.0, timeout=10.0
)
# Every field that a definition decides. An empty mask would replace the policy, conditions' names and all.
_MASKS: Final = {
    POLICY: (
        "display_name",
        "documentation",
        "user_labels",
        "conditions",
        "combiner",
        "enabled",
        "notification_channels",
        "alert_strategy",
        "severity",
    ),
    CHANNEL: ("type", "display_name", "description", "labels", "user_labels", "enabled"),
}


class GoogleBackend:
    """The alert policies, channels and dashboards of one project."""

    def __init__(self, project: str, *, endpoint: str = "") -> None:
        """Connect to a project.

        Args:
            project: the project id.
            endpoint: HOST:PORT of a local backend; empty means Google, with default credentials.

        Raises:
            BackendError: there are no credentials.
        """
        self.project = project
        try:
            self._policies = _client(monitoring_v3.AlertPolicyServiceClient, endpoint)
            self._channels = _client(monitoring_v3.NotificationChannelServiceClient, endpoint)
            self._dashboards = _client(monitoring_dashboard_v1.DashboardsServiceClient, endpoint)
        except google.auth.exceptions.GoogleAuthError as error:
            raise BackendError(
                Problem(
                    place=f"project {project!r}",
                    problem=f"no usable Google credentials: {error}",
                    way_out="Run `gcloud auth application-default login`, or use --local for a local backend",
                )
            ) from error

    def list(self, kind: Kind) -> Sequence[Mapping[str, Any]]:
        """Return all objects of a kind."""
        parent = f"projects/{self.project}"
        with _failures():
            if kind is POLICY:
                pages = self._policies.list_alert_policies(
                    request={"name": parent, "page_size": _PAGE}, retry=_READ_RETRY, timeout=_TIMEOUT_S
                )
            elif kind is CHANNEL:
                pages = self._channels.list_notification_channels(
                    request={"name": parent, "page_size": _PAGE}, retry=_READ_RETRY, timeout=_TIMEOUT_S
                )
            else:
                pages = self._dashboards.list_dashboards(
                    request={"parent": parent, "page_size": _PAGE}, retry=_READ_RETRY, timeout=_TIMEOUT_S
                )
            return [_to_json(item) for item in pages]

    def create(self, kind: Kind, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Create an object."""
        name = f"projects/{self.project}"
        with _failures():
            if kind is POLICY:
                policy = _from_json(document, monitoring_v3.AlertPolicy)
                return _to_json(self._policies.create_alert_policy(name=name, alert_policy=policy, timeout=_TIMEOUT_S))
            if kind is CHANNEL:
                channel = _from_json(document, monitoring_v3.NotificationChannel)
                return _to_json(
                    self._channels.create_notification_channel(
                        name=name, notification_channel=channel, timeout=_TIMEOUT_S
                    )
                )
            dashboard = _from_json(document, monitoring_dashboard_v1.Dashboard)
            return _to_json(
                self._dashboards.create_dashboard(request={"parent": name, "dashboard": dashboard}, timeout=_TIMEOUT_S)
            )

    def update(self, kind: Kind, name: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Replace what a definition says of an object."""
        with _failures():
            if kind is DASHBOARD:
                dashboard = _from_json({**document, "name": name}, monitoring_dashboard_v1.Dashboard)
                return _to_json(self._dashboards.update_dashboard(request={"dashboard": dashboard}, timeout=_TIMEOUT_S))
            mask = field_mask_pb2.FieldMask(paths=_MASKS[kind])
            if kind is CHANNEL:
                channel = _from_json({**document, "name": name}, monitoring_v3.NotificationChannel)
                return _to_json(
                    self._channels.update_notification_channel(
                        notification_channel=channel, update_mask=mask, timeout=_TIMEOUT_S
                    )
                )
            current = _to_json(self._policies.get_alert_policy(name=name, timeout=_TIMEOUT_S))
            body = {**document, "name": name, "conditions": _with_names(document, current)}
            policy = _from_json(body, monitoring_v3.AlertPolicy)
            return _to_json(
                self._policies.update_alert_policy(alert_policy=policy, update_mask=mask, timeout=_TIMEOUT_S)
            )

    def delete(self, kind: Kind, name: str) -> None:
        """Delete an object; a channel only when nothing uses it any more."""
        with _failures():
            if kind is POLICY:
                self._policies.delete_alert_policy(name=name, timeout=_TIMEOUT_S)
            elif kind is CHANNEL:
                self._channels.delete_notification_channel(name=name, force=False, timeout=_TIMEOUT_S)
            else:
                self._dashboards.delete_dashboard(request={"name": name}, timeout=_TIMEOUT_S)


def _client(client: Any, endpoint: str) -> Any:
    if not endpoint:
        return client()
    # The only way to a plain-text server: `api_endpoint` alone always uses TLS.
    channel = grpc.insecure_channel(endpoint)
    return client(transport=client.get_transport_class("grpc")(channel=channel))


def _with_names(document: Mapping[str, Any], current: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give each condition the resource name of the one it replaces: a condition without one is a new one."""
    names = {found.get("displayName"): found.get("name") for found in current.get("conditions") or ()}
    conditions = []
    for condition in document.get("conditions") or ():
        name = names.pop(condition.get("displayName"), None)
        conditions.append({**condition, "name": name} if name else dict(condition))
    return conditions


def _to_json(message: Any) -> dict[str, Any]:
    found: dict[str, Any] = json_format.MessageToDict(type(message).pb(message))
    return found


def _from_json(document: Mapping[str, Any], message: Any) -> Any:
    return message(json_format.ParseDict(dict(document), message.pb(message())))


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except exceptions.GoogleAPICallError as error:
        code = error.grpc_status_code.name if error.grpc_status_code is not None else type(error).__name__
        raise BackendFailure(code, error.message, retry_after_s=_retry_after(error)) from error
    except exceptions.RetryError as error:
        raise BackendFailure("DEADLINE_EXCEEDED", str(error)) from error
    except json_format.ParseError as error:
        raise BackendFailure("INVALID_ARGUMENT", f"the document does not fit the API: {error}") from error


def _retry_after(error: exceptions.GoogleAPICallError) -> float | None:
    for detail in error.details:
        if isinstance(detail, error_details_pb2.RetryInfo):
            return float(detail.retry_delay.seconds + detail.retry_delay.nanos / 1e9)
    return None
