"""What stands on OpenTelemetry's SDK for spans, which takes as long to import as all of obskit.

Imported when somebody makes a span that no request is, adds a processor, or looks at a request's span; else on the
export thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import SpanKind, StatusCode

from obskit.signals.sampling import SHARE, Policy, is_kept
from obskit.signals.spans import handed_ids, random_bits

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan, Span
    from opentelemetry.trace import Link
    from opentelemetry.trace.span import TraceState
    from opentelemetry.util.types import Attributes

__all__ = ["HandedIds", "OwnSampler", "Relay", "SpanTap", "provider"]


def provider(policy: Policy, resource: Resource, processor: SpanProcessor) -> TracerProvider:
    """Return the SDK's provider behind obskit's own."""
    made = _Provider(sampler=OwnSampler(policy), resource=resource, id_generator=HandedIds(), shutdown_on_exit=False)
    made.add_span_processor(processor)
    return made


class _Provider(TracerProvider):
    def _handle_fork(self) -> None:
        # The SDK detects the resource anew in threads of a pool, in each child, also of those that are about to become
        # another program. Under gevent the child would go on with other greenlets while it waits for them. Spans get
        # the process's own id when they are exported.
        self._tracers_lock = threading.Lock()


class HandedIds(RandomIdGenerator):
    """Gives the span that takes a `RequestSpan`'s place its ids, and all others random ones."""

    def generate_span_id(self) -> int:
        """Return a span id."""
        handed = handed_ids()
        return random_bits(64) or 1 if handed is None else handed[1]

    def generate_trace_id(self) -> int:
        """Return a trace id."""
        handed = handed_ids()
        return random_bits(128) or 1 if handed is None else handed[0]


class OwnSampler(Sampler):
    """Applies the service's policy to spans of the SDK.

    What is not sampled is still recorded at its root, so that a failed request can be kept; inside it nothing is.

    Args:
        policy: the service's own.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

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
        policy = self._policy
        parent = trace.get_current_span(parent_context).get_span_context()
        is_root = not parent.is_valid or parent.is_remote
        if parent.is_valid and (not parent.is_remote or policy.trusts_incoming):
            is_sampled = parent.trace_flags.sampled
        else:
            is_sampled = policy.takes(trace_id)
            if is_sampled and policy.ratio < 1.0:
                attributes = {**(attributes or {}), SHARE: policy.ratio}
        unsampled = Decision.RECORD_ONLY if is_root else Decision.DROP
        decision = Decision.RECORD_AND_SAMPLE if is_sampled else unsampled
        return SamplingResult(decision, attributes, parent.trace_state if parent.is_valid else None)

    def get_description(self) -> str:
        """Return what this sampler is, for people."""
        return f"obskit({self._policy.ratio}, trusts_incoming={self._policy.trusts_incoming})"


class Relay(SpanProcessor):
    """Hands everything on to a processor that can be replaced; a provider never lets a processor go.

    Args:
        following: returns the processor.
    """

    def __init__(self, following: Callable[[], SpanProcessor]) -> None:
        self._following = following

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Hand it on."""
        self._following().on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Hand it on."""
        self._following().on_end(span)

    def shutdown(self) -> None:
        """Hand it on."""
        self._following().shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Hand it on."""
        return self._following().force_flush(timeout_millis)


class SpanTap(SpanProcessor):
    """Hands every finished span that is sampled, or failed, to the pipeline.

    Args:
        submit: takes one finished span; must not block.
        flush: delivers everything within that many seconds, and says whether it did.
    """

    def __init__(self, submit: Callable[[ReadableSpan], None], flush: Callable[[float | None], bool]) -> None:
        self._submit = submit
        self._flush = flush

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Do nothing; a span is of interest when it has ended."""

    def on_end(self, span: ReadableSpan) -> None:
        """Queue the span. An unsampled one that is recorded at all is kept when it failed, a request's by its mark."""
        context = span.context
        if context is None:
            return
        if not context.trace_flags.sampled:
            has_failed = span.kind is not SpanKind.SERVER and span.status.status_code is StatusCode.ERROR
            if not has_failed and not is_kept(span.attributes):
                return
        self._submit(span)

    def shutdown(self) -> None:
        """Deliver what waits; the provider that this processor was given to is about to end."""
        self._flush(None)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Deliver what waits within the time given."""
        return self._flush(timeout_millis / 1000)
