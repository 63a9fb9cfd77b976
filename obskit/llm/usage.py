"""How many tokens a call used, in kinds that do not overlap, and what of them is billed as what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["GeminiUsage", "Usage", "from_totals"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one call used. The kinds of tokens do not overlap: their sum is what is billed.

    Attributes:
        input: prompt tokens, without those of a cache and of tools.
        cached: prompt tokens that came from a cache.
        cache_write: prompt tokens that were put into a cache, where that is billed by call, as Anthropic does.
        tool_use: prompt tokens of tools that run on the provider's side.
        output: tokens of the reply, without thinking.
        thinking: tokens of thinking.
        modalities: tokens by modality, as `genai-prices` names them (e.g. ``input_audio_tokens``); they are parts
            of the kinds above, wanted where a modality has a price of its own. So is ``cache_write_1h_tokens``.
        units: what is billed otherwise than by token: ``images``, ``seconds`` of video, ``minutes`` of audio,
            ``characters``, ``searches`` for grounding, ``cache_token_hours``, or any other name.
        processing: ``batch``, ``flex`` or ``priority``, where that has a price of its own; empty is the standard.
    """

    input: int = 0
    cached: int = 0
    cache_write: int = 0
    tool_use: int = 0
    output: int = 0
    thinking: int = 0
    modalities: Mapping[str, int] = field(default_factory=dict)
    units: Mapping[str, float] = field(default_factory=dict)
    processing: str = ""

    @property
    def billed_input(self) -> int:
        """Tokens billed as input, cached ones included."""
        return self.input + self.cached + self.cache_write + self.tool_use

    @property
    def billed_output(self) -> int:
        """Tokens billed as output, thinking included."""
        return self.output + self.thinking

    @property
    def total(self) -> int:
        """All billed tokens."""
        return self.billed_input + self.billed_output

    @property
    def is_empty(self) -> bool:
        """Whether nothing was used that anybody could bill."""
        return not self.total and not any(self.units.values())

    def kinds(self) -> dict[str, int]:
        """Return the counts by kind, without those that are zero."""
        counts = {
            "input": self.input,
            "cached": self.cached,
            "cache_write": self.cache_write,
            "tool_use": self.tool_use,
            "output": self.output,
            "thinking": self.thinking,
        }
        return {kind: count for kind, count in counts.items() if count}


def from_totals(*, input_tokens: int, output_tokens: int, cached_tokens: int = 0, thinking_tokens: int = 0) -> Usage:
    """Return the usage where cached tokens are a part of the input, and thinking is a part of the output.

    A part that is larger than its whole counts as the whole.
    """
    cached, thinking = max(cached_tokens, 0), max(thinking_tokens, 0)
    return Usage(
        input=max(input_tokens - cached, 0),
        cached=cached,
        output=max(output_tokens - thinking, 0),
        thinking=thinking,
    )


_FIELDS: Final = (
    "prompt_token_count",
    "cached_content_token_count",
    "tool_use_prompt_token_count",
    "candidates_token_count",
    "thoughts_token_count",
)
# Live sessions and embeddings have another name for the reply's tokens.
_SOURCES: Final = {**{name: name for name in _FIELDS}, "response_token_count": "candidates_token_count"}
# Gemini's detail list, and how genai-prices names its entries.
_DETAILS: Final = {
    "prompt_tokens_details": "input_{}_tokens",
    "cache_tokens_details": "cache_{}_read_tokens",
    "candidates_tokens_details": "output_{}_tokens",
    "response_tokens_details": "output_{}_tokens",
}
# What a reply says on the traffic that it was.
_PROCESSING: Final = {
    "flex": "flex",
    "on_demand_flex": "flex",
    "priority": "priority",
    "on_demand_priority": "priority",
}
# Text is what is left; documents are billed as images.
_MODALITIES: Final = {"AUDIO": "audio", "IMAGE": "image", "VIDEO": "video", "DOCUMENT": "image"}


class GeminiUsage:
    """Reads Gemini's `usage_metadata`, from one response or from the chunks of a stream.

    Chunks are cumulative on some models and partial on others, so the last value of each field counts.
    """

    __slots__ = ("_counts", "_details", "_processing")

    def __init__(self) -> None:
        self._processing = ""
        self._counts: dict[str, int] = {}
        self._details: dict[str, dict[str, int]] = {}

    def observe(self, metadata: Any) -> None:
        """Take in one `usage_metadata`, or nothing when it is None."""
        if metadata is None:
            return
        for name, kind in _SOURCES.items():
            count = getattr(metadata, name, None)
            if count is not None:
                self._counts[kind] = count
        for name in ("traffic_type", "service_tier"):
            said = getattr(metadata, name, None)
            if said is not None:
                self._processing = _PROCESSING.get(str(getattr(said, "value", said)).lower(), "")
        for name, pattern in _DETAILS.items():
            entries = getattr(metadata, name, None)
            if entries:
                self._details[name] = _by_modality(entries, pattern)

    def usage(self) -> Usage | None:
        """Return what was used, None when no response has said it."""
        if not self._counts:
            return None
        prompt, cached, tool_use, candidates, thoughts = (self._counts.get(name, 0) for name in _FIELDS)
        return Usage(
            input=max(prompt - cached, 0),
            cached=cached,
            tool_use=tool_use,
            output=candidates,
            thinking=thoughts,
            modalities={key: count for part in self._details.values() for key, count in part.items()},
            processing=self._processing,
        )


def _by_modality(entries: Any, pattern: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for entry in entries:
        modality = getattr(entry.modality, "value", entry.modality)
        name = _MODALITIES.get(str(modality))
        if name and entry.token_count:
            key = pattern.format(name)
            counts[key] = counts.get(key, 0) + entry.token_count
    return counts
