"""The names of OpenTelemetry's GenAI conventions: those on every span, and the newer ones where asked for.

Source: open-telemetry/semantic-conventions-genai, "Inference token metrics" and "Spans", in development. Of today's
names only the histogram `gen_ai.client.token.usage` has been replaced; the others are the same in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from obskit import catalog
from obskit.llm.series import Series
from obskit.llm.usage import Usage
from obskit.signals.cells import Seen
from obskit.signals.clientspans import ClientSpan, SdkSpan

__all__ = ["add_usage", "tell"]

_MODALITY: Final = "gen_ai.token.modality"
_MODALITIES: Final = ("audio", "image", "video")
_SIDES: Final = {"input": "input_{}_tokens", "output": "output_{}_tokens", "cached": "cache_{}_read_tokens"}


def tell(
    span: ClientSpan | SdkSpan, series: Series, usage: Usage | None, *, first_chunk_s: float | None, seen: Seen | None
) -> None:
    """Record what a call used under the newer names.

    Args:
        span: the call's, still open.
        series: the call's.
        usage: None where the provider has not told it: that counts as 0 of unknown modality.
        first_chunk_s: seconds to a stream's first chunk, None where the call was no stream.
        seen: the exemplar.
    """
    if first_chunk_s is not None:
        span.note({"gen_ai.response.time_to_first_chunk": first_chunk_s, "gen_ai.request.stream": True})
    used = usage or Usage()
    if usage is not None:
        span.note(_on_span(usage))
        series.told(catalog.AI_OPERATION_INPUT, used.billed_input, "", "", seen)
        series.told(catalog.AI_OPERATION_OUTPUT, used.billed_output, "", "", seen)
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
                series.told(metric, count, _MODALITY, modality, seen)


def add_usage(attributes: dict[str, Any], usage: Usage) -> None:
    """Add what a call's span says of its usage, under the names that are the same in both.

    Args:
        attributes: of the span.
        usage: the call's.
    """
    _, cached, cache_write, tool_use, _, thinking, billed_input, billed_output, _, units, _ = usage
    attributes["gen_ai.usage.input_tokens"] = billed_input
    attributes["gen_ai.usage.output_tokens"] = billed_output
    if cached:
        attributes["gen_ai.usage.cache_read.input_tokens"] = cached
    if cache_write:
        attributes["gen_ai.usage.cache_creation.input_tokens"] = cache_write
    if thinking:
        attributes["gen_ai.usage.reasoning.output_tokens"] = thinking
    if tool_use:
        attributes["obskit.gen_ai.usage.tool_use_input_tokens"] = tool_use
    if units:
        attributes.update((f"obskit.gen_ai.usage.{unit}", amount) for unit, amount in units.items() if amount)


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
