"""Which series a Monitoring filter can be about, told without looking at them."""

from __future__ import annotations

from obskit.queries.filters import Comparison, Node

__all__ = ["types_of"]


def types_of(node: Node) -> frozenset[str] | None:
    """Return the metric types that a filter can fit, None when it may be any."""
    if isinstance(node, Comparison):
        is_exact = node.field == "metric.type" and node.op in {"=", "one_of"}
        return frozenset(node.values) if is_exact else None
    kind, parts = node
    if kind == "not":
        return None
    found = [types_of(part) for part in parts]
    known = [types for types in found if types is not None]
    if kind == "and":
        return frozenset.intersection(*known) if known else None
    return frozenset().union(*known) if len(known) == len(found) else None
