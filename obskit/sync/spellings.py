"""The short forms that a person writes for some definitions: ``email(…)`` for a channel of that kind, and the like."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from obskit.alerts import (
    ExistingChannels,
    NotificationChannel,
    email,
    existing,
    google_chat,
    pagerduty,
    pubsub,
    slack,
    sms,
    webhook,
)
from obskit.alerts.channel_kinds import AddressWithToken

__all__ = ["MAKERS", "as_call"]

_CHANNELS: Final[Mapping[str, tuple[Callable[..., Any], Mapping[str, str]]]] = {
    "email": (email, {"email_address": "address"}),
    "slack": (slack, {"channel_name": "channel", "auth_token": "token"}),
    "pagerduty": (pagerduty, {"service_key": "service_key"}),
    "webhook_tokenauth": (webhook, {"url": "url"}),
    "webhook_basicauth": (webhook, {"url": "url", "username": "username", "password": "password"}),
    "pubsub": (pubsub, {"topic": "topic"}),
    "sms": (sms, {"number": "number"}),
    "google_chat": (google_chat, {"space": "space"}),
}

MAKERS: Final = (existing, *(maker for maker, _ in _CHANNELS.values()))
"""What is imported where a short form is written."""


def as_call(value: object) -> tuple[Callable[..., Any], tuple[tuple[str, Any], ...]] | None:
    """Return the function that makes a definition, with its arguments; None where there is no short form for it.

    An argument without a name stands first.
    """
    if isinstance(value, ExistingChannels):
        asked = (("display_name", value.display_name), ("type", value.type), ("labels", dict(value.labels)))
        return existing, tuple((name, item) for name, item in asked if item)
    if isinstance(value, NotificationChannel):
        return _channel(value)
    return None


def _channel(channel: NotificationChannel) -> tuple[Callable[..., Any], tuple[tuple[str, Any], ...]] | None:
    maker, arguments = _CHANNELS.get(channel.kind, (None, {}))
    if maker is None or channel.carried or set(channel.settings) != set(arguments):
        return None
    settings: list[tuple[str, Any]] = []
    for label, argument in arguments.items():
        setting = channel.settings[label]
        if isinstance(setting, AddressWithToken):
            settings += [("url", setting.url), ("token", setting.token)]
        else:
            settings.append((argument, setting))
    common: tuple[tuple[str, Any, Any], ...] = (
        ("display_name", channel.display_name, ""),
        ("description", channel.description, ""),
        ("enabled", channel.enabled, True),
        ("labels", dict(channel.labels), {}),
    )
    told = ((name, value) for name, value, default in common if value != default)
    return maker, (("", channel.id), *settings, *told)
