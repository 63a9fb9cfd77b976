"""One function a kind of notification channel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypedDict, Unpack

from obskit.alerts.channel_kinds import AddressWithToken, Setting
from obskit.alerts.channels import NotificationChannel
from obskit.errors import Problem, report
from obskit.queries.context import EnvVar, Secret
from obskit.queries.definitions import caller, ready_made

__all__ = ["email", "google_chat", "pagerduty", "pubsub", "slack", "sms", "webhook"]


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
        token: Slack's token, from `env` or `secret`. Google's console makes one when Cloud Monitoring is installed
            in Slack.
        fields: ``display_name``, ``description``, ``enabled``, ``labels``.
    """
    return NotificationChannel(id=id, kind="slack", settings={"channel_name": channel, "auth_token": token}, **fields)


@ready_made("channel", also=_COMMON)
def pagerduty(id: str, *, service_key: Setting, **fields: Unpack[ChannelFields]) -> NotificationChannel:  # noqa: A002
    """Return a channel that pages through PagerDuty.

    Args:
        id: the channel's id.
        service_key: the integration key of an Events API integration, from `env` or `secret`.
        fields: ``display_name``, ``description``, ``enabled``, ``labels``.
    """
    return NotificationChannel(id=id, kind="pagerduty", settings={"service_key": service_key}, **fields)


@ready_made("channel", also=_COMMON)
def webhook(
    id: str,  # noqa: A002
    *,
    url: Setting,
    token: EnvVar | Secret | None = None,
    username: Setting | None = None,
    password: Setting | None = None,
    **fields: Unpack[ChannelFields],
) -> NotificationChannel:
    """Return a channel that posts Cloud Monitoring's JSON to a URL.

    Args:
        id: the channel's id.
        url: where to post.
        token: what proves the sender, from `env` or `secret`; it goes into the URL's query as ``auth_token``, which
            those who may read channels can read.
        username: user of basic authentication; with it, a password is needed.
        password: password of basic authentication, from `env` or `secret`.
        fields: ``display_name``, ``description``, ``enabled``, ``labels``.
    """
    settings: dict[str, Setting] = {"url": url if token is None else _with_token(id, url, token)}
    if username is None and password is None:
        return NotificationChannel(id=id, kind="webhook_tokenauth", settings=settings, **fields)
    credentials = {"username": username, "password": password}
    settings |= {name: value for name, value in credentials.items() if value is not None}
    return NotificationChannel(id=id, kind="webhook_basicauth", settings=settings, **fields)


def _with_token(name: str, url: Setting, token: object) -> Setting:
    if isinstance(token, EnvVar | Secret) and not isinstance(url, AddressWithToken):
        return AddressWithToken(url, token)
    report(
        Problem(
            place=f'{caller()}: channel "{name}"',
            problem="token is a secret and stands in the file",
            way_out='Read it from the environment: token=env("NAME")',
        )
    )
    return url


@ready_made("channel", also=_COMMON)
def google_chat(id: str, *, space: Setting, **fields: Unpack[ChannelFields]) -> NotificationChannel:  # noqa: A002
    """Return a channel that posts to a space of Google Chat, to which the app Google Cloud Monitoring was added.

    Args:
        id: the channel's id.
        space: ``spaces/SPACE``, where SPACE is the last part of the space's address.
        fields: ``display_name``, ``description``, ``enabled``, ``labels``.
    """
    return NotificationChannel(id=id, kind="google_chat", settings={"space": space}, **fields)


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
