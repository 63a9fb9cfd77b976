"""Secrets that the API shows all the same, in webhooks' addresses and in headers: they become environment variables."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from obskit.alerts import NotificationChannel
from obskit.alerts.channel_kinds import AddressWithToken, Setting
from obskit.queries.context import EnvVar
from obskit.resources import HTTP, UptimeCheck

__all__ = ["variables_of", "without_secrets"]

_TOKEN: Final = re.compile(r"(?P<url>.+)[?&]auth_token=(?P<token>[^&]+)", re.DOTALL)
_SECRET_PARAMETER: Final = re.compile(r"[?&](?:[a-z_-]*token|[a-z_-]*key|secret|sig|password|code)=", re.IGNORECASE)
# Addresses whose path is the secret.
_SECRET_HOSTS: Final = (
    "hooks.slack.com",
    "discord.com",
    "webhook.office.com",
    "outlook.office.com",
    "api.telegram.org",
)
_SECRET_HEADER: Final = re.compile(r"authorization|cookie|token|secret|password|api-?key|x-.*-key", re.IGNORECASE)


def without_secrets(definition: Any, known: dict[str, str]) -> Any:
    """Return a definition whose secrets are read from the environment.

    Args:
        definition: as read from JSON.
        known: is given the variable and the value of each secret that the API shows.
    """
    if isinstance(definition, NotificationChannel):
        return _channel(definition, known)
    if isinstance(definition, UptimeCheck) and isinstance(definition.target, HTTP):
        return _check(definition, definition.target, known)
    return definition


def variables_of(definition: Any) -> tuple[str, ...]:
    """Return the environment variables that a definition reads."""
    settings = definition.secrets if isinstance(definition, NotificationChannel | UptimeCheck) else ()
    parts = [
        part
        for each in settings
        for part in ((each.url, each.token) if isinstance(each, AddressWithToken) else (each,))
    ]
    return tuple(dict.fromkeys(part.name for part in parts if isinstance(part, EnvVar)))


def _channel(channel: NotificationChannel, known: dict[str, str]) -> NotificationChannel:
    url = channel.settings.get("url")
    if not isinstance(url, str):
        return channel
    prefix = channel.id.replace("-", "_").upper()
    match = _TOKEN.fullmatch(url)
    setting: Setting = url
    # Rendering puts the token at the end, with everything escaped; what stands otherwise is kept as a whole.
    if match is not None and quote(unquote(match["token"]), safe="") == match["token"] and "?" not in match["url"]:
        known[f"{prefix}_AUTH_TOKEN"] = unquote(match["token"])
        setting = AddressWithToken(match["url"], EnvVar(f"{prefix}_AUTH_TOKEN"))
    elif _SECRET_PARAMETER.search(url) or (urlsplit(url).hostname or "").endswith(_SECRET_HOSTS):
        known[f"{prefix}_URL"] = url
        setting = EnvVar(f"{prefix}_URL")
    return channel if setting is url else replace(channel, settings={**channel.settings, "url": setting})


def _check(check: UptimeCheck, target: HTTP, known: dict[str, str]) -> UptimeCheck:
    shown = {
        name: value for name, value in target.headers.items() if isinstance(value, str) and _SECRET_HEADER.search(name)
    }
    if not shown:
        return check
    headers: dict[str, Setting] = dict(target.headers)
    for name, value in shown.items():
        variable = re.sub(r"\W", "_", f"{check.id}_{name}").upper()
        known[variable] = value
        headers[name] = EnvVar(variable)
    # A header that is read from the environment is masked from now on, which the plan then shows.
    return replace(check, target=replace(target, headers=headers))
