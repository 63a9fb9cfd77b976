"""Parts of the pipeline that take long to import, and are not there before somebody needs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from obskit.signals.redaction import Redactor

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

    from obskit.config import Config
    from obskit.signals.spool import Store

__all__ = ["LateParts", "store_of"]


class LateParts:
    """Makes them once.

    Args:
        submit: takes one finished span; must not block.
        flush: delivers everything within that many seconds, and says whether it did.
        redactor: knows what is secret.
    """

    def __init__(
        self, submit: Callable[[ReadableSpan], None], flush: Callable[[float | None], bool], redactor: Redactor
    ) -> None:
        self._submit = submit
        self._flush = flush
        self._redactor = redactor
        self._tap: SpanProcessor | None = None
        self._clean: Callable[[ReadableSpan], ReadableSpan] | None = None

    def span_processor(self) -> SpanProcessor:
        """Return what hands finished spans to the pipeline."""
        if self._tap is None:
            from obskit.signals.sdk import SpanTap  # noqa: PLC0415 - stands on OpenTelemetry's SDK

            self._tap = SpanTap(self._submit, self._flush)
        return self._tap

    def veiled(self, span: ReadableSpan) -> ReadableSpan:
        """Return a span without its secrets."""
        if self._clean is None:
            from obskit.signals.veils import Veil  # noqa: PLC0415 - stands on OpenTelemetry's SDK

            self._clean = Veil(self._redactor).span
        return self._clean(span)


def store_of(config: Config) -> Store | None:
    """Return the spool's folder, None where there is no spool."""
    if not config.spool_directory:
        return None
    from obskit.signals.spool import Spool, Store  # noqa: PLC0415 - few ask for it, and everybody would wait

    return Store(Spool(config.spool_directory, config.spool_bytes))
