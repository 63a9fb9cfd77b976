"""Attributes of OTLP as plain values."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

__all__ = ["attributes_of", "value_of"]


def value_of(value: Any) -> Any:
    """Return the plain value of an ``AnyValue``; bytes become base64."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return attributes_of(value.kvlist_value.values)
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return getattr(value, kind) if kind else None


def attributes_of(pairs: Iterable[Any]) -> dict[str, Any]:
    """Return the plain values of ``KeyValue`` pairs by name."""
    return {pair.key: value_of(pair.value) for pair in pairs}
