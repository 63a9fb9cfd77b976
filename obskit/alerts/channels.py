"""Where notifications go: one class, one constructor function a kind of channel."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Final, TypedDict, Unpack
from urllib.parse import urlsplit

from obskit.errors import Problem
from obskit.queries.context import EnvVar, RenderContext
from obskit.queries.definitions import Definition, as_flag, as_text, checked_id, definition, given, ready_made
from obskit.queries.labels import checked_labels, label_problems

__all__ = ["NotificationChannel", "email", "pagerduty", "pubsub", "slack", "sms", "webhook"]

Setting = str | EnvVar

# Source: the notification channel descriptors of Cloud Monitoring: type → required labels, sensitive labels.
_KINDS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "email": (("email_address",), ()),
    "slack": (("channel_name", "auth_token"), ("auth_token",)),
    "pagerduty": (("service_key",), ("service_key",)),
    "webhook_tokenauth": (("url",), ()),
    "webhook_basicauth": (("url", "username", "password"), ("password",)),
    "pubsub": (("topic",), ()),
    "sms": (("number",), ()),
}


def _kind(value: object) -> str:
    kind = as_text(value)
    if kind not in _KINDS:
        raise ValueError(f"{kind!r} is no kind of channel | Use one of {', '.join(_KINDS)}")
    return kind


def _settings(value: object) -> Mapping[str, Setting]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{value!r} is not a table of settings | Use email(…), webhook(…) and the like")
    for name, setting in value.items():
        if not isinstance(setting, str | EnvVar):
            raise TypeError(f'{name}={setting!r} is not a text | Write a text, or env("NAME")')
    return dict(value)


@definition
class NotificationChannel(Definition):
    """One way to reach somebody.

    Made by `email`, `slack`, `pagerduty`, `webhook`, `pubsub` and `sms`.

    Attributes:
        id: lower-case letters, digits and dashes; what policies and sync know it by.
        kind: the platform's type, e.g. ``webhook_tokenauth``.
        settings: the labels that this kind needs; each a text or an `env`.
        display_name: shown in the console, at most 512 characters; the id when empty.
        description: at most 1,024 characters.
        enabled: whether notifications are forwarded.
        labels: the user's own labels.
    """

    noun: ClassVar[str] = "channel"
    named_by: ClassVar[str] = "id"

    id: str = given(checked_id, placeholder="")
    kind: str = given(_kind, placeholder="email")
    settings: Mapping[str, Setting] = given(_settings, default_factory=dict, is_shown=False)
    display_name: str = given(as_text, default="")
    description: str = given(as_text, default="")
    enabled: bool = given(as_flag, default=True)
    labels: Mapping[str, str] = given(checked_labels, default_factory=dict)

    def to_dict(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form, without ``name``.

        Raises:
            DefinitionError: an environment variable that it needs is missing.
        """
        values = {
            name: setting.read(context) if isinstance(setting, EnvVar) else setting
            for name, setting in self.settings.items()
        }
        rendered: dict[str, Any] = {
            "type": self.kind,
            "displayName": self.display_name or self.id,
            "labels": values,
            "enabled": self.enabled,
        }
        if self.description:
            rendered["description"] = self.description
        if self.labels:
            rendered["userLabels"] = dict(self.labels)
        return rendered

    def problems(self, context: RenderContext) -> list[Problem]:
        """Return every rule of the platform that this channel breaks."""
        if self.is_broken:
            return []
        missing = [
            setting.problem(self.place)
            for setting in self.settings.values()
            if isinstance(setting, EnvVar) and not setting.is_set(context)
        ]
        rules = [*self._rules(), *(() if missing else self._value_rules(context))]
        return [
            *missing,
            *(self.problem(problem, way_out) for problem, way_out in rules),
            *label_problems(self.labels, self.place),
        ]

    def _rules(self) -> Iterator[tuple[str, str]]:
        if len(self.display_name) > 512:
            yield f"display_name has {len(self.display_name)} characters, at most 512 are allowed", "Shorten it"
        if len(self.description) > 1024:
            yield f"description has {len(self.description)} characters, at most 1024 are allowed", "Shorten it"
        required, secret = _KINDS[self.kind]
        for name in required:
            if name not in self.settings:
                yield f"a {self.kind} channel needs {name}", f"Add {name}=…"
        for name in secret:
            if isinstance(self.settings.get(name), str):
                yield f"{name} is a secret and stands in the file", f'Read it from the environment: {name}=env("NAME")'

    def _value_rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:
        for name, check in _VALUES.items():
            setting = self.settings.get(name)
            if setting is None:
                continue
            value = setting.read(context) if isinstance(setting, EnvVar) else setting
            way_out = check(value)
            if way_out:
                shown = f"what {setting.name} holds" if isinstance(setting, EnvVar) else repr(value)
                yield f"{name}: {shown} cannot be used", way_out


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
    except ValueError:
        return "Write a whole http or https address"
    return "" if parts.scheme in ("http", "https") and parts.hostname else "Write a whole http or https address"


def _email(value: str) -> str:
    name, at, host = value.rpartition("@")
    return (
        "" if name and at and "." in host and not value.split()[1:] else "Write an address such as oncall@example.com"
    )


def _number(value: str) -> str:
    digits = value.removeprefix("+")
    is_number = value.startswith("+") and digits.isdigit() and 7 <= len(digits) <= 15
    return "" if is_number else "Write the number with its country, e.g. +4930123456"


def _topic(value: str) -> str:
    parts = value.split("/")
    is_topic = len(parts) == 4 and parts[0] == "projects" and parts[2] == "topics" and all(parts)
    return "" if is_topic else "Write projects/PROJECT/topics/TOPIC"


def _not_empty(value: str) -> str:
    return "" if value.strip() else "Give a value"


_VALUES: Final[Mapping[str, Callable[[str], str]]] = {
    "url": _url,
    "email_address": _email,
    "number": _number,
    "topic": _topic,
    "channel_name": _not_empty,
    "auth_token": _not_empty,
    "service_key": _not_empty,
    "username": _not_empty,
    "password": _not_empty,
}


class ChannelFields(TypedDict, total=False):
    """What every kind of channel takes; see `NotificationChannel`."""

    display_name: str
    description: str
    enabled: bool
    labels: Mapping[str, str]


_COMMON: Final = tuple(ChannelFields.__annotations__)


@ready_made("channel", also=_COMMON)
def email(id: str, *, address: Setting, **fields: Unpack[ChannelFields]) -> NotificationChannel:  # noqa: A002 - the field's name
    """Return a channel that sends e-mail.

    Args:
        id: the channel's id.
        address: the e-mail address.
        fields: ``display_name``, ``description``, ``enabled``, ``labels``.
    """
    return NotificationChannel(id=id, kind="email", settings={"email_address": address}, **fields)


@ready_made("channel", also=_COMMON)
def slack(id: str, *, channel: Setting, token: Setting, **fields: Unpack[ChannelFields]) -> NotificationChannel:  # noqa: A002
    """Return a channel that posts to Slack.

    Args:
        id: the channel's id.
        channel: the Slack channel with its hash, e.g. ``#alerts``.
        token: Slack's token, from `env`. Google's console makes one when Cloud Monitoring is installed in Slack.
        fields: ``display_name``, ``description``, ``enabled``, ``labels``.
    """
    return NotificationChannel(id=id, kind="slack", settings={"channel_name": channel, "auth_token": token}, **fields)


@ready_made("channel", also=_COMMON)
def pagerduty(id: str, *, service_key: Setting, **fields: Unpack[ChannelFields]) -> NotificationChannel:  # noqa: A002
    """Return a channel that pages through PagerDuty.

    Args:
        id: the channel's id.
        service_key: the integration key of an Events API integration, from `env`.
        fields: ``display_name``, ``description``, ``enabled``, ``labels``.
    """
    return NotificationChannel(id=id, kind="pagerduty", settings={"service_key": service_key}, **fields)


@ready_made("channel", also=_COMMON)
def webhook(
    id: str,  # noqa: A002
    *,
    url: Setting,
    username: Setting | None = None,
    password: Setting | None = None,
    **fields: Unpack[ChannelFields],
) -> NotificationChannel:
    """Return a channel that posts Cloud Monitoring's JSON to a URL.

    Args:
        id: the channel's id.
        url: where to post. A token belongs into its query (``?auth_token=…``), and then the URL into `env`.
        username: user of basic authentication; with it, a password is needed.
        password: password of basic authentication, from `env`.
        fields: ``display_name``, ``description``, ``enabled``, ``labels``.
    """
    if username is None and password is None:
        return NotificationChannel(id=id, kind="webhook_tokenauth", settings={"url": url}, **fields)
    settings = {"url": url, "username": username, "password": password}
    present = {name: value for name, value in settings.items() if value is not None}
    return NotificationChannel(id=id, kind="webhook_basicauth", settings=present, **fields)


@ready_made("channel", also=_COMMON)
def pubsub(id: str, *, topic: Setting, **fields: Unpack[ChannelFields]) -> NotificationChannel:  # noqa: A002
    """Return a channel that publishes to a Pub/Sub topic.

    Args:
        id: the channel's id.
        topic: ``projects/PROJECT/topics/TOPIC``.
        fields: ``display_name``, ``description``, ``enabled``, ``labels``.
    """
    return NotificationChannel(id=id, kind="pubsub", settings={"topic": topic}, **fields)


@ready_made("channel", also=_COMMON)
def sms(id: str, *, number: Setting, **fields: Unpack[ChannelFields]) -> NotificationChannel:  # noqa: A002
    """Return a channel that sends text messages; the number must be verified in the console once.

    Args:
        id: the channel's id.
        number: the telephone number with its country, ``+49…``.
        fields: ``display_name``, ``description``, ``enabled``, ``labels``.
    """
    return NotificationChannel(id=id, kind="sms", settings={"number": number}, **fields)
