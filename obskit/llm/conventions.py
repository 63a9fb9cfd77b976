"""The newer names of OpenTelemetry's GenAI conventions, where the setting `genai_semconv` asks for them.

Source: open-telemetry/semantic-conventions-genai, "Inference token metrics" and "Spans", in development. Of today's
names only the histogram `gen_ai.client.token.usage` has been replaced; the others are the same in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.trace import Span

from obskit import catalog
from obskit.llm.usage import Usage
from obskit.signals.metrics import record

__all__ = ["tell"]

_MODALITY: Final = "gen_ai.token.modality"
_MODALITIES: Final = ("audio", "image", "video")
_SIDES: Final = {"input": "input_{}_tokens", "output": "output_{}_tokens", "cached": "cache_{}_read_tokens"}


def tell(
    span: Span, labels: Mapping[str, str | int | bool], usage: Usage | None, *, first_chunk_s: float | None
) -> None:
    """Record what a call used under the newer names.

    Args:
        span: the call's, still open.
        labels: the call's labels.
        usage: None where the provider has not told it: that counts as 0 of unknown modality.
        first_chunk_s: seconds to a stream's first chunk, None where the call was no stream.
    """
    if first_chunk_s is not None:
        span.set_attribute("gen_ai.response.time_to_first_chunk", first_chunk_s)
        span.set_attribute("gen_ai.request.stream", True)
    used = usage or Usage()
    if usage is not None:
        span.set_attributes(_on_span(usage))
        record(catalog.AI_OPERATION_INPUT, used.billed_input, labels)
        record(catalog.AI_OPERATION_OUTPUT, used.billed_output, labels)
    for metric, total, parts in (
        (catalog.AI_USAGE_INPUT, used.billed_input, _by_modality(used, "input")),
        (catalog.AI_USAGE_OUTPUT, used.billed_output, _by_modality(used, "output")),
        (catalog.AI_USAGE_CACHE_READ, used.cached, _by_modality(used, "cached")),
        (catalog.AI_USAGE_CACHE_WRITE, used.cache_write, {}),
        (catalog.AI_USAGE_REASONING, used.thinking, {}),
    ):
        is_whole = metric in {catalog.AI_USAGE_INPUT, catalog.AI_USAGE_OUTPUT}
        for modality, count in _spread(total, parts).items():
            if count or is_whole:
                record(metric, count, {**labels, _MODALITY: modality})


def _by_modality(usage: Usage, side: str) -> dict[str, int]:
    pattern = _SIDES[side]
    counts = {modality: usage.modalities.get(pattern.format(modality), 0) for modality in _MODALITIES}
    return {modality: count for modality, count in counts.items() if count}


def _spread(total: int, parts: Mapping[str, int]) -> dict[str, int]:
    """Return a count by modality; what is left beside told parts is text, and without any nobody knows."""
    if not parts:
        return {"unknown": total}
    return {**parts, "text": max(total - sum(parts.values()), 0)}


def _on_span(usage: Usage) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    for side, total in (("input", usage.billed_input), ("output", usage.billed_output)):
        parts = _by_modality(usage, side)
        for modality, count in _spread(total, parts).items() if parts else ():
            if count:
                attributes[f"gen_ai.usage.{modality}.{side}_tokens"] = count
    return attributes
