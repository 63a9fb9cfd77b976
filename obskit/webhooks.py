"""For whoever receives notifications: who has sent one, whether it is unchanged, and whether it is new.

Cloud Monitoring signs nothing: its webhooks carry a token in the URL or basic authentication, so that only TLS keeps
their body unchanged. Signed ones follow the Standard Webhooks specification; the local backend sends them so where it
has a secret. Every comparison with a secret takes the same time whatever was sent.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from obskit.errors import ConfigError, ObskitError, Problem

__all__ = ["Notification", "Verifier", "WebhookRejected", "sign"]

_PREFIX: Final = "whsec_"
_MOST_REMEMBERED: Final = 100_000
_MOST_BYTES: Final = 1024 * 1024


class WebhookRejected(ObskitError):
    """A notification that must not be believed.

    Attributes:
        reason: ``unsigned``, ``tampered``, ``expired``, ``replayed``, ``unauthorised`` or ``malformed``. Not for the
            sender, who learns the least from a bare 401.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"the notification is {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A notification that was believed.

    Attributes:
        id: the same for each delivery of the same message.
        payload: its JSON body.
    """

    id: str
    payload: Mapping[str, Any]


def sign(body: bytes, secret: str, *, message_id: str, timestamp: int) -> dict[str, str]:
    """Return the headers that sign a message as the Standard Webhooks specification says.

    Args:
        body: the exact bytes that are sent.
        secret: ``whsec_`` and base64, or any other text.
        message_id: the same for each delivery of the message, a delivery that is tried again included.
        timestamp: of this delivery, in seconds since 1970.
    """
    signature = _signature(body, _key(secret), message_id, str(timestamp))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature.decode()}",
    }


class Verifier:
    """Believes the notifications of one sender. Keep one for the life of the process: it remembers what it has seen.

    Args:
        secrets: of signed webhooks; several while one takes the place of another.
        token: the `auth_token` of a channel's URL (Cloud Monitoring's `webhook_tokenauth`).
        username: of basic authentication (Cloud Monitoring's `webhook_basicauth`).
        password: the same's.
        tolerance: how far a signed message's time may be from now, and how long messages are remembered.
        is_new: (id, how long to remember it) → whether it was not seen before. In this process by default; several
            processes need a store that they share, as Redis' ``SET key 1 NX EX seconds``.
        now: seconds since 1970.

    Raises:
        ConfigError: nothing was given to know the sender by, or only half of it.
    """

    def __init__(
        self,
        *,
        secrets: Sequence[str] = (),
        token: str = "",
        username: str = "",
        password: str = "",
        tolerance: timedelta = timedelta(minutes=5),
        is_new: Callable[[str, timedelta], bool] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        given = [secrets] if isinstance(secrets, str) else list(secrets)
        if not (given or token or (username and password)) or not all(given):
            raise ConfigError(
                Problem(
                    place="webhooks.Verifier",
                    problem="it has no secret to know the sender by",
                    way_out="Give secrets, a token, or a username with its password; none of them empty",
                )
            )
        self._keys = [_key(secret) for secret in given]
        self._token = token.encode()
        self._basic = base64.b64encode(f"{username}:{password}".encode()) if username and password else b""
        self._tolerance = tolerance
        self._now = now
        self._memory = _Memory(now)
        self._is_new = is_new or self._memory.add

    def verify(self, body: bytes, headers: Mapping[str, str], url: str = "") -> Notification:
        """Return the notification if it may be believed, and remember it.

        Args:
            body: the bytes that came, before any parsing.
            headers: of the request, in any case.
            url: of the request with its query; needed for a token only.

        Raises:
            WebhookRejected: it may not be believed; its `reason` says why.
        """
        if len(body) > _MOST_BYTES:
            raise WebhookRejected("malformed")
        found = {name.lower(): value for name, value in headers.items()}
        if self._keys:
            identity = self._verify_signature(body, found)
        else:
            self._verify_sender(found, url)
            identity = hashlib.sha256(body).hexdigest()
        try:
            payload = json.loads(body)
        except (ValueError, RecursionError):
            payload = None
        if not isinstance(payload, dict):
            raise WebhookRejected("malformed")
        # Last of all, so that what is refused for another reason is not remembered.
        if not self._is_new(identity, self._tolerance * 2):
            raise WebhookRejected("replayed")
        return Notification(id=identity, payload=payload)

    def forget(self, notification: Notification) -> None:
        """Let the same message in again, after its handling has failed and its sender will try again."""
        self._memory.remove(notification.id)

    def _verify_signature(self, body: bytes, headers: Mapping[str, str]) -> str:
        identity, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        signatures = headers.get("webhook-signature", "").split()
        if not (identity and timestamp and signatures):
            raise WebhookRejected("unsigned")
        sent = [part[3:].encode() for part in signatures[:16] if part.startswith("v1,")]
        matches = [
            hmac.compare_digest(_signature(body, key, identity, timestamp), one) for key in self._keys for one in sent
        ]
        if not any(matches):
            raise WebhookRejected("tampered")
        try:
            age_s = abs(self._now() - int(timestamp))
        except ValueError:
            raise WebhookRejected("malformed") from None
        if age_s > self._tolerance.total_seconds():
            raise WebhookRejected("expired")
        return identity

    def _verify_sender(self, headers: Mapping[str, str], url: str) -> None:
        is_known = False
        if self._token:
            tokens = parse_qs(urlsplit(url).query).get("auth_token", [""])
            is_known = hmac.compare_digest(tokens[0].encode("utf-8", "replace"), self._token) and len(tokens) == 1
        if self._basic:
            scheme, _, pair = headers.get("authorization", "").partition(" ")
            is_same = hmac.compare_digest(pair.strip().encode("utf-8", "replace"), self._basic)
            is_known = is_known or (is_same and scheme.lower() == "basic")
        if not is_known:
            raise WebhookRejected("unauthorised")


class _Memory:
    """What was seen of late, oldest first."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._until: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, identity: str, keep: timedelta) -> bool:
        now = self._now()
        with self._lock:
            while self._until and (next(iter(self._until.values())) < now or len(self._until) >= _MOST_REMEMBERED):
                self._until.popitem(last=False)
            if identity in self._until:
                return False
            self._until[identity] = now + keep.total_seconds()
            return True

    def remove(self, identity: str) -> None:
        with self._lock:
            self._until.pop(identity, None)


def _key(secret: str) -> bytes:
    if secret.startswith(_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            pass  # it only looks like one; any text can be a key
    return secret.encode()


def _signature(body: bytes, key: bytes, message_id: str, timestamp: str) -> bytes:
    signed = f"{message_id}.{timestamp}.".encode("utf-8", "replace") + body
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
