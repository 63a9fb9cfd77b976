"""A receiver believes what its sender has signed or carries its secret, once, and while it is fresh."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import pytest

from obskit.errors import ConfigError
from obskit.webhooks import Verifier, WebhookRejected, sign

BODY = json.dumps({"version": "1.2", "incident": {"incident_id": "0.a", "state": "open"}}).encode()
NOW = 1_790_000_000


def signed(secret: str = "s3cret", body: bytes = BODY, at: int = NOW, message_id: str = "m-1") -> dict[str, str]:
    return sign(body, secret, message_id=message_id, timestamp=at)


def verifier(**options: Any) -> Verifier:
    return Verifier(**{"secrets": ["s3cret"], "now": lambda: NOW, **options})


def reason(verifier: Verifier, body: bytes, headers: dict[str, str], url: str = "") -> str:
    with pytest.raises(WebhookRejected) as refused:
        verifier.verify(body, headers, url)
    return refused.value.reason


def test_what_was_signed_is_believed() -> None:
    """A signed message gives its payload, whatever the case of its headers' names."""
    headers = {name.title(): value for name, value in signed().items()}
    found = verifier().verify(BODY, headers)
    assert (found.id, found.payload["version"]) == ("m-1", "1.2")


def test_the_specifications_example() -> None:
    """The example of the Standard Webhooks specification is signed to the same text."""
    headers = sign(
        b'{"test": 2432232314}',
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("change", ["body", "webhook-id", "webhook-timestamp", "webhook-signature"])
def test_what_was_changed_is_refused(change: str) -> None:
    """A changed byte in the body, the id, the time or the signature is refused."""
    headers, body = signed(), BODY
    if change == "body":
        body = BODY.replace(b"open", b"oper")
    else:
        headers[change] += "1"
    assert reason(verifier(), body, headers) == "tampered"


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_what_is_not_signed_is_refused(missing: str) -> None:
    """A message without one of the three headers is unsigned; a token does not make up for it."""
    headers = signed()
    del headers[missing]
    both = verifier(token="t")
    assert reason(both, BODY, headers, "https://h/?auth_token=t") == "unsigned"


def test_other_versions_and_secrets_do_not_count() -> None:
    """A signature of another scheme or by another secret is none, and one good among several is enough."""
    good = signed()["webhook-signature"]
    assert reason(verifier(), BODY, signed() | {"webhook-signature": good.replace("v1,", "v1a,")}) == "tampered"
    assert reason(verifier(), BODY, signed("other")) == "tampered"
    two = f"{signed('other')['webhook-signature']} {good}"
    assert verifier().verify(BODY, signed() | {"webhook-signature": two}).id == "m-1"
    assert verifier(secrets=["new", "s3cret"]).verify(BODY, signed()).id == "m-1"


def test_replays_are_refused_until_they_are_too_old_anyway() -> None:
    """The same message is believed once; after the tolerance it is refused for its age, so nothing gets in twice."""
    clock = [float(NOW)]
    receiver = verifier(now=lambda: clock[0])
    receiver.verify(BODY, signed())
    assert reason(receiver, BODY, signed()) == "replayed"
    assert reason(receiver, BODY, signed(at=NOW + 60)) == "replayed"
    clock[0] += 301
    assert reason(receiver, BODY, signed()) == "expired"
    clock[0] += 10_000
    assert receiver.verify(BODY, signed(at=int(clock[0]), message_id="m-2")).id == "m-2"


@pytest.mark.parametrize("at", [NOW - 301, NOW + 301])
def test_old_and_future_messages_are_refused(at: int) -> None:
    """A message from beyond the tolerance, in either direction, is refused."""
    assert reason(verifier(), BODY, signed(at=at)) == "expired"
    assert verifier(tolerance=timedelta(minutes=10)).verify(BODY, signed(at=at)).id == "m-1"


def test_a_failed_handling_lets_the_next_try_in() -> None:
    """What was forgotten is believed again, for the sender's second try."""
    receiver = verifier()
    receiver.forget(receiver.verify(BODY, signed()))
    assert receiver.verify(BODY, signed()).id == "m-1"


def test_a_token_in_the_url() -> None:
    """Cloud Monitoring's token is asked for once in the URL, and the same body is believed once."""
    receiver = Verifier(token="t0ken")
    assert receiver.verify(BODY, {}, "https://h/hook?auth_token=t0ken").payload["version"] == "1.2"
    assert reason(receiver, BODY, {}, "https://h/hook?auth_token=t0ken") == "replayed"
    for url in (
        "https://h/hook",
        "https://h/hook?auth_token=",
        "https://h/hook?auth_token=é",
        "https://h/?auth_token=x",
    ):
        assert reason(receiver, BODY, {}, url) == "unauthorised"
    assert reason(receiver, BODY, {}, "https://h/?auth_token=t0ken&auth_token=x") == "unauthorised"


def test_basic_authentication() -> None:
    """Cloud Monitoring's user name and password are asked for, both of them."""
    receiver = Verifier(username="u", password="p")

    def header(pair: str, scheme: str = "Basic") -> dict[str, str]:
        return {"Authorization": f"{scheme} {base64.b64encode(pair.encode()).decode()}"}

    assert receiver.verify(BODY, header("u:p")).payload["version"] == "1.2"
    for headers in ({}, header("u:"), header("u:x"), header("u:p", "Bearer"), {"Authorization": "Basic"}):
        assert reason(receiver, BODY, headers) == "unauthorised"


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[1]", b'"text"', b"[" * 100_000, b" " * 2_000_000 + b"{}"])
def test_what_is_no_notification(body: bytes) -> None:
    """A body that is no JSON object, or too large to be a notification, is malformed even when signed."""
    assert reason(verifier(), body, signed(body=body)) == "malformed"


def test_a_shared_memory() -> None:
    """Where several processes receive, what one has seen is known to the others."""
    seen: set[str] = set()

    def is_new(identity: str, keep: timedelta) -> bool:
        assert keep >= timedelta(minutes=5)
        return not (identity in seen or seen.add(identity))

    verifier(is_new=is_new).verify(BODY, signed())
    assert reason(verifier(is_new=is_new), BODY, signed()) == "replayed"


@pytest.mark.parametrize("options", [{"secrets": []}, {"secrets": [""]}, {"secrets": [], "username": "u"}])
def test_a_verifier_needs_a_secret(options: dict[str, Any]) -> None:
    """A receiver that would believe everybody cannot be made."""
    with pytest.raises(ConfigError, match="no secret"):
        verifier(**options)
