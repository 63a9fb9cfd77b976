"""Moments, as the APIs write them."""

from __future__ import annotations

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

__all__ = ["ms_of", "text_of_ms"]


def ms_of(moment: Any) -> int:
    """Return milliseconds since the epoch of a protobuf timestamp."""
    return int(moment.seconds) * 1000 + int(moment.nanos) // 1_000_000


def text_of_ms(ms: float) -> str:
    """Return milliseconds since the epoch as RFC 3339."""
    moment = Timestamp()
    moment.FromMicroseconds(round(ms * 1000))
    return str(moment.ToJsonString())
