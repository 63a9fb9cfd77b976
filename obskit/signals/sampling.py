"""Which requests' traces are exported: the service's own decision, whatever a stranger's header says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanKind
    from opentelemetry.trace.span import TraceState
    from opentelemetry.util.types import Attributes

__all__ = ["OwnSampler"]

_MASK: Final = (1 << 64) - 1


class OwnSampler(Sampler):
    """Decides once a request, by the trace's id, so that services with the same ratio keep the same traces.

    What is not sampled is still recorded at its root, so that a failed request can be kept; inside it nothing is.

    Args:
        ratio: share of traces that are exported, 0 to 1.
        trusts_incoming: whether the caller's sampled flag decides instead, where there is one.
    """

    def __init__(self, ratio: float, *, trusts_incoming: bool = False) -> None:
        self._ratio = ratio
        self._bound = round(ratio * (1 << 64))
        self._trusts_incoming = trusts_incoming

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,  # noqa: ARG002 - the protocol's, as are the rest
        kind: SpanKind | None = None,  # noqa: ARG002
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,  # noqa: ARG002
        trace_state: TraceState | None = None,  # noqa: ARG002
        **_: Any,
    ) -> SamplingResult:
        """Return the decision for a span that is about to begin."""
        parent = trace.get_current_span(parent_context).get_span_context()
        is_root = not parent.is_valid or parent.is_remote
        if parent.is_valid and (not parent.is_remote or self._trusts_incoming):
            is_sampled = parent.trace_flags.sampled
        else:
            is_sampled = (trace_id & _MASK) < self._bound
        unsampled = Decision.RECORD_ONLY if is_root else Decision.DROP
        decision = Decision.RECORD_AND_SAMPLE if is_sampled else unsampled
        return SamplingResult(decision, attributes, parent.trace_state if parent.is_valid else None)

    def get_description(self) -> str:
        """Return what this sampler is, for people."""
        return f"obskit({self._ratio}, trusts_incoming={self._trusts_incoming})"
