"""What an HTTP answer says about trying again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

__all__ = ["RETRYABLE", "retry_after_s", "retry_info_s"]

RETRYABLE: Final = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses that pass; every other one from 400 on is an answer for good."""


def retry_after_s(headers: Mapping[str, str], *, fallback_s: float = 0.0) -> float:
    """Return the pause that `Retry-After` asks for.

    A date is held against the answer's own `Date`, so that neither clock needs to be right.

    Args:
        headers: of the answer; names in any case, as HTTP libraries give them.
        fallback_s: what holds where the header is missing or is none.
    """
    asked = headers.get("Retry-After") or ""
    try:
        return max(0.0, float(asked))
    except ValueError:
        pass
    try:
        at = _aware(parsedate_to_datetime(asked))
    except ValueError:
        return fallback_s
    try:
        now = _aware(parsedate_to_datetime(headers.get("Date") or ""))
    except ValueError:
        now = datetime.now(UTC)
    return max(0.0, (at - now).total_seconds())


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def retry_info_s(body: bytes) -> float:
    """Return the pause that a `google.rpc.RetryInfo` in the answer's `google.rpc.Status` asks for, 0 without one."""
    try:
        status = Status.FromString(body)
    except DecodeError:
        return 0.0
    for detail in status.details:
        info = RetryInfo()
        if detail.Is(RetryInfo.DESCRIPTOR) and detail.Unpack(info):
            return max(0.0, float(info.retry_delay.seconds + info.retry_delay.nanos / 1e9))
    return 0.0
