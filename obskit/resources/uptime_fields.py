"""The keywords that the functions which make uptime checks take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from obskit.alerts.channel_kinds import Setting
from obskit.queries.durations import DurationLike
from obskit.resources.uptime_targets import ContentMatch

__all__ = ["HTTPFields", "UptimeFields"]


class HTTPFields(TypedDict, total=False):
    """What `obskit.resources.HTTP` takes beside what an address says."""

    method: str
    validate_certificate: bool
    headers: Mapping[str, Setting]
    body: str
    content_type: str
    username: Setting
    password: Setting
    identity_token: bool
    statuses: Sequence[int | str]
    pings: int


class UptimeFields(TypedDict, total=False):
    """What every `obskit.resources.UptimeCheck` takes."""

    resource_type: str
    resource_labels: Mapping[str, str]
    period: DurationLike
    timeout: DurationLike
    content: ContentMatch
    regions: Sequence[str]
    display_name: str
    labels: Mapping[str, str]
