"""The kinds of notification channels: what each needs, what of it is secret, and what its values look like."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

from obskit.errors import Problem
from obskit.queries.context import EnvVar, RenderContext, Secret

__all__ = [
    "ARGUMENTS",
    "CHECKS",
    "KINDS",
    "OTHER",
    "SECRETS",
    "AddressWithToken",
    "Kind",
    "Setting",
    "read_setting",
    "unset_problem",
]


@dataclass(frozen=True, slots=True)
class AddressWithToken:
    """A webhook's address whose token is added when it is rendered."""

    url: str | EnvVar | Secret
    token: EnvVar | Secret

    @property
    def name(self) -> str:
        """What holds the secret part."""
        return self.token.name

    def is_set(self, context: RenderContext) -> bool:
        """Return whether both parts can be read."""
        return self.token.is_set(context) and (isinstance(self.url, str) or self.url.is_set(context))

    def read(self, context: RenderContext) -> str:
        """Return the address with ``auth_token=…`` in its query.

        Raises:
            DefinitionError: a part of it cannot be read.
        """
        url = self.url if isinstance(self.url, str) else self.url.read(context)
        return f"{url}{'&' if '?' in url else '?'}auth_token={quote(self.token.read(context), safe='')}"


Setting = str | EnvVar | Secret | AddressWithToken


def read_setting(setting: Setting, context: RenderContext) -> str:
    """Return a setting's value.

    Raises:
        DefinitionError: it cannot be read.
    """
    return setting if isinstance(setting, str) else setting.read(context)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a kind of channel needs.

    Attributes:
        required: the labels without which the platform refuses it.
        secret: the labels that the platform gives back masked.
    """

    required: tuple[str, ...] = ()
    secret: tuple[str, ...] = ()


OTHER: Final = "other"
"""A kind that obskit does not know; its type and labels are carried."""

# Source: the notification channel descriptors of Cloud Monitoring. The mobile app's channels are made by the app alone.
KINDS: Final[Mapping[str, Kind]] = {
    "email": Kind(("email_address",)),
    "slack": Kind(("channel_name", "auth_token"), ("auth_token",)),
    "pagerduty": Kind(("service_key",), ("service_key",)),
    "webhook_tokenauth": Kind(("url",)),
    "webhook_basicauth": Kind(("url", "username", "password"), ("password",)),
    "pubsub": Kind(("topic",)),
    "sms": Kind(("number",)),
    "google_chat": Kind(("space",)),
    OTHER: Kind(),
}

SECRETS: Final = frozenset(label for kind in KINDS.values() for label in kind.secret)
"""The labels of any kind that the platform gives back masked."""


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
    except ValueError:
        return "Write a whole http or https address"
    return "" if parts.scheme in ("http", "https") and parts.hostname else "Write a whole http or https address"


def _email(value: str) -> str:
    name, at, host = value.rpartition("@")
    is_address = name and at and "." in host and not value.split()[1:]
    return "" if is_address else "Write an address such as oncall@example.com"


def _number(value: str) -> str:
    digits = value.removeprefix("+")
    is_number = value.startswith("+") and digits.isdigit() and 7 <= len(digits) <= 15
    return "" if is_number else "Write the number with its country, e.g. +4930123456"


def _topic(value: str) -> str:
    parts = value.split("/")
    is_topic = len(parts) == 4 and parts[0] == "projects" and parts[2] == "topics" and all(parts)
    return "" if is_topic else "Write projects/PROJECT/topics/TOPIC"


def _space(value: str) -> str:
    name = value.removeprefix("spaces/")
    return (
        "" if value.startswith("spaces/") and name and "/" not in name else "Write spaces/SPACE, as in Chat's address"
    )


def _not_empty(value: str) -> str:
    return "" if value.strip() else "Write a text that is not empty"


ARGUMENTS: Final[Mapping[str, str]] = {"email_address": "address", "channel_name": "channel", "auth_token": "token"}
"""Label → the argument of the function that makes such a channel, where it is called otherwise."""

CHECKS: Final[Mapping[str, Callable[[str], str]]] = {
    "url": _url,
    "email_address": _email,
    "number": _number,
    "topic": _topic,
    "space": _space,
    "channel_name": _not_empty,
    "auth_token": _not_empty,
    "service_key": _not_empty,
    "username": _not_empty,
    "password": _not_empty,
}
"""Label → what to write instead of a value that cannot be right, empty where it can."""


def secret_names(settings: Iterable[Setting], context: RenderContext) -> tuple[str, ...]:
    """Return the resource names of the Secret Manager versions that some settings are read from."""
    parts = [part for setting in settings for part in _parts(setting)]
    return tuple(dict.fromkeys(part.resource(context) for part in parts if isinstance(part, Secret)))


def _parts(setting: Setting) -> tuple[str | EnvVar | Secret, ...]:
    return (setting.url, setting.token) if isinstance(setting, AddressWithToken) else (setting,)


def unset_problem(setting: Setting, context: RenderContext, place: str) -> Problem | None:
    """Return the problem of an environment variable that a setting needs and that is not set."""
    unset = [part for part in _parts(setting) if isinstance(part, EnvVar) and not part.is_set(context)]
    return unset[0].problem(place) if unset else None
