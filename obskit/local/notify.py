"""Notifications of incidents: one thread a channel, bounded in time, in order, and always in the inbox.

Webhooks on this machine are delivered. Everything else (mail, Slack, PagerDuty, webhooks elsewhere) is kept
in the inbox only, because a laptop that plays an incident must not wake somebody's on-call engineer; webhooks
elsewhere can be allowed.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import ipaddress
import json
import logging
import queue
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from obskit.local.payloads import notification_payload
from obskit.webhooks import sign

__all__ = ["Delivery", "Notifier", "WebhookPolicy", "is_loopback", "post_webhook"]

_logger = logging.getLogger(__name__)

_WEBHOOKS: Final = frozenset({"webhook_basicauth", "webhook_tokenauth"})
_TRIES_AGAIN: Final = frozenset({408, 425, 429, *range(500, 600)})


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookPolicy:
    """How hard a webhook is tried.

    Attributes:
        attempts: how often at most.
        timeout_s: longest time of one attempt, connecting and answering included.
        backoff_s: pause after the first failure; it doubles with each further one.
        is_outside_allowed: whether webhooks to other machines are delivered.
        secret: signs them as `obskit.webhooks` verifies them; empty leaves them unsigned, as Cloud Monitoring does.
    """

    attempts: int = 4
    timeout_s: float = 3.0
    backoff_s: float = 0.2
    is_outside_allowed: bool = False
    secret: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What became of a notification.

    Attributes:
        delivery: ``delivered``, ``failed``, or ``inbox`` for what is only shown in the inbox.
        error: why it failed or was kept back; empty when it was delivered.
        attempts: how often it was tried.
    """

    delivery: str
    error: str = ""
    attempts: int = 0


def is_loopback(host: str) -> bool:
    """Return whether a host name or address can only mean this machine."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def post_webhook(
    labels: Mapping[str, str], body: bytes, *, timeout_s: float, signature: Mapping[str, str] | None = None
) -> int:
    """Post a notification to the ``url`` of a webhook channel and return the HTTP status.

    Redirects are not followed. A token stands in the URL, as the service has it; ``username`` and ``password``
    become basic authentication. `signature` has the headers that sign the body, if any.

    Raises:
        OSError: no answer in time, or no connection.
        ValueError: the URL cannot be used.
    """
    url = urlsplit(labels.get("url", ""))
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise ValueError(f"the channel's url {labels.get('url', '')!r} is not an http(s) URL")
    headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "obskit-local"}
    headers |= signature or {}
    if labels.get("username"):
        pair = f"{labels['username']}:{labels.get('password', '')}".encode()
        headers["Authorization"] = "Basic " + base64.b64encode(pair).decode("ascii")
    connection: http.client.HTTPConnection
    if url.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(url.hostname, url.port, timeout=timeout_s, context=context)
    else:
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=timeout_s)
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    # The socket's own timeout starts again with every byte, so a receiver that drips could hold the thread.
    watchdog = threading.Timer(timeout_s, _abort, (connection,))
    watchdog.daemon = True
    watchdog.start()
    try:
        connection.request("POST", target, body=body, headers=headers)
        return connection.getresponse().status
    except http.client.HTTPException as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
    finally:
        watchdog.cancel()
        connection.close()


def _abort(connection: http.client.HTTPConnection) -> None:
    if connection.sock is not None:
        with contextlib.suppress(OSError):  # it was closed in this moment, which is what was wanted
            connection.sock.shutdown(socket.SHUT_RDWR)


class Notifier:
    """Delivers what incidents have to say to the channels of their policy.

    Args:
        project: the project of the backend.
        find_channel: resource name → the channel's JSON with its secrets, or None when it does not exist.
        record: keeps a notification in the inbox, once its fate is known.
        now_ms: the backend's clock.
        incident_url: incident id → address in the UI.
        webhooks: how webhooks are tried.
    """

    def __init__(
        self,
        *,
        project: str,
        find_channel: Callable[[str], Mapping[str, Any] | None],
        record: Callable[[dict[str, Any]], None],
        now_ms: Callable[[], int],
        incident_url: Callable[[str], str],
        webhooks: WebhookPolicy | None = None,
    ) -> None:
        self._project = project
        self._find_channel = find_channel
        self._record = record
        self._now_ms = now_ms
        self._incident_url = incident_url
        self._webhooks = webhooks or WebhookPolicy()
        self._lanes: dict[str, _Lane] = {}
        self._lock = threading.Lock()
        self._is_closed = False

    def notify(self, incident: Mapping[str, Any], policy: Mapping[str, Any], *, state: str, withheld: str = "") -> int:
        """Queue one notification for each channel of the policy, and return how many.

        Args:
            incident: the incident as it is stored.
            policy: the policy's REST JSON.
            state: ``open`` or ``closed``; skipped where the policy's ``notificationPrompts`` leave it out.
            withheld: why it is not delivered but only kept in the inbox; empty to deliver it.
        """
        prompts = (policy.get("alertStrategy") or {}).get("notificationPrompts") or ["OPENED", "CLOSED"]
        if {"open": "OPENED", "closed": "CLOSED"}[state] not in prompts:
            return 0
        names = list(dict.fromkeys(policy.get("notificationChannels") or ()))
        payload = notification_payload(
            incident, policy, state=state, project=self._project, url=self._incident_url(str(incident["id"]))
        )
        notification = {
            "incident_id": incident["id"],
            "policy_display_name": policy.get("displayName", ""),
            "state": state,
            "payload": payload,
            "withheld": withheld,
        }
        for name in names:
            self._lane(name).submit(
                {**notification, "id": uuid.uuid4().hex, "channel_name": name, "withheld": withheld}
            )
        return len(names)

    def drain(self, timeout_s: float) -> bool:
        """Wait until nothing is queued or under way, and return whether that was so in time."""
        deadline = time.monotonic() + timeout_s
        with self._lock:
            lanes = list(self._lanes.values())
        return all(lane.wait_idle(deadline - time.monotonic()) for lane in lanes)

    def close(self, timeout_s: float = 3.0) -> bool:
        """Stop the threads; what cannot be delivered in time is recorded as failed. Return whether all was in time."""
        with self._lock:
            self._is_closed = True
            lanes = list(self._lanes.values())
        deadline = time.monotonic() + timeout_s
        for lane in lanes:
            lane.stop()
        return all(lane.join(deadline - time.monotonic()) for lane in lanes)

    def _lane(self, channel_name: str) -> _Lane:
        with self._lock:
            lane = self._lanes.get(channel_name)
            if lane is None:
                if self._is_closed:
                    raise RuntimeError("the notifier is closed")
                lane = self._lanes[channel_name] = _Lane(self._deliver)
            return lane

    def _deliver(self, notification: dict[str, Any], is_stopping: threading.Event) -> None:
        name, withheld = notification["channel_name"], notification.pop("withheld")
        channel = self._find_channel(name)
        is_kept = bool(withheld) and channel is not None
        outcome = (
            Delivery(delivery="inbox", error=withheld) if is_kept else self._outcome(channel, notification, is_stopping)
        )
        found = channel or {}
        self._record(
            {
                **notification,
                "channel_type": found.get("type", ""),
                "channel_display_name": found.get("displayName") or name.rpartition("/")[2],
                "sent_at_ms": self._now_ms(),
                "delivery": outcome.delivery,
                "error": outcome.error,
                "attempts": outcome.attempts,
            }
        )

    def _outcome(
        self, channel: Mapping[str, Any] | None, notification: Mapping[str, Any], is_stopping: threading.Event
    ) -> Delivery:
        if channel is None:
            return Delivery(delivery="failed", error="the channel does not exist")
        if channel.get("enabled") is False:
            return Delivery(delivery="inbox", error="the channel is disabled")
        if channel.get("type") not in _WEBHOOKS:
            return Delivery(delivery="inbox")
        labels = channel.get("labels") or {}
        host = urlsplit(labels.get("url", "")).hostname or ""
        if host and not is_loopback(host) and not self._webhooks.is_outside_allowed:
            return Delivery(delivery="inbox", error=f"not sent: {host} is another machine")
        return self._post(labels, notification, is_stopping)

    def _post(
        self, labels: Mapping[str, str], notification: Mapping[str, Any], is_stopping: threading.Event
    ) -> Delivery:
        body, secret = json.dumps(notification["payload"]).encode(), self._webhooks.secret
        error = ""
        for attempt in range(1, self._webhooks.attempts + 1):
            now = int(time.time())  # the real one: a receiver has no accelerated clock
            signature = sign(body, secret, message_id=notification["id"], timestamp=now) if secret else None
            try:
                status = post_webhook(labels, body, timeout_s=self._webhooks.timeout_s, signature=signature)
            except ValueError as problem:
                return Delivery(delivery="failed", error=str(problem), attempts=attempt)
            except OSError as problem:
                error = str(problem) or type(problem).__name__
            else:
                if 200 <= status < 300:
                    return Delivery(delivery="delivered", attempts=attempt)
                error = f"HTTP {status}"
                if status not in _TRIES_AGAIN:
                    break
            if attempt < self._webhooks.attempts and is_stopping.wait(self._webhooks.backoff_s * 2 ** (attempt - 1)):
                error += "; the backend stopped"
                break
        return Delivery(delivery="failed", error=error, attempts=attempt)


class _Lane:
    """The queue and the thread of one channel."""

    def __init__(self, deliver: Callable[[dict[str, Any], threading.Event], None]) -> None:
        self._deliver = deliver
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._is_stopping = threading.Event()
        self._idle = threading.Condition()
        self._pending = 0
        self._thread = threading.Thread(target=self._run, name="obskit-notify", daemon=True)
        self._thread.start()

    def submit(self, notification: dict[str, Any]) -> None:
        with self._idle:
            self._pending += 1
        self._queue.put(notification)

    def wait_idle(self, timeout_s: float) -> bool:
        with self._idle:
            return self._idle.wait_for(lambda: self._pending == 0, max(0.0, timeout_s))

    def stop(self) -> None:
        self._is_stopping.set()
        self._queue.put(None)

    def join(self, timeout_s: float) -> bool:
        self._thread.join(max(0.0, timeout_s))
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (notification := self._queue.get()) is not None:
            try:
                self._deliver(notification, self._is_stopping)
            except Exception:  # the next notification must still go out
                _logger.exception("notification %s could not be handled", notification.get("id"))
            finally:
                with self._idle:
                    self._pending -= 1
                    self._idle.notify_all()
