"""How many tokens a call used, in kinds that do not overlap, and what of them is billed as what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["GeminiUsage", "Usage", "fields_of", "from_totals"]


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
        billed_input: tokens billed as input, cached ones included.
        billed_output: tokens billed as output, thinking included.
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
    billed_input: int = field(init=False, repr=False, compare=False)
    billed_output: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "billed_input", self.input + self.cached + self.cache_write + self.tool_use)
        put(self, "billed_output", self.output + self.thinking)

    @property
    def total(self) -> int:
        """All billed tokens."""
        return self.billed_input + self.billed_output

    @property
    def is_empty(self) -> bool:
        """Whether nothing was used that anybody could bill."""
        return not self.billed_input and not self.billed_output and not any(self.units.values())

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
    "response_token_count",  # live sessions and embeddings have another name for the reply's tokens
)
# Gemini's detail list, and how genai-prices names its entries.
_DETAILS: Final = (
    ("prompt_tokens_details", "input_{}_tokens"),
    ("cache_tokens_details", "cache_{}_read_tokens"),
    ("candidates_tokens_details", "output_{}_tokens"),
    ("response_tokens_details", "output_{}_tokens"),
)
# What a reply says on the traffic that it was.
_PROCESSING: Final = {
    "flex": "flex",
    "on_demand_flex": "flex",
    "priority": "priority",
    "on_demand_priority": "priority",
}
# Text is what is left; documents are billed as images.
_MODALITIES: Final = {"AUDIO": "audio", "IMAGE": "image", "VIDEO": "video", "DOCUMENT": "image"}


_NAMES: Final = (*_FIELDS, "traffic_type", "service_tier", *(name for name, _ in _DETAILS))


def fields_of(holder: Any) -> Callable[[str], Any]:
    """Return what returns a field by its name, None where there is no such field.

    Pydantic composes a long message for each name that is not there, which costs more than all that is.
    """
    if hasattr(holder, "__pydantic_fields_set__"):
        more = holder.__pydantic_extra__
        fields: Mapping[str, Any] = {**holder.__dict__, **more} if more else holder.__dict__
        return fields.get
    return lambda name: getattr(holder, name, None)


class GeminiUsage:
    """Reads Gemini's `usage_metadata`, from one response or from the chunks of a stream.

    Chunks are cumulative on some models and partial on others, so the last value of each field counts.
    """

    __slots__ = ("_fields", "_get")

    def __init__(self) -> None:
        self._fields: dict[str, Any] | None = None
        self._get: Callable[[str], Any] | None = None

    def observe(self, metadata: Any) -> None:
        """Take in one `usage_metadata`, or nothing when it is None."""
        if metadata is None:
            return
        if self._get is None:
            self._get = fields_of(metadata)
            return
        if self._fields is None:
            self._fields = _told(self._get)
        self._fields |= _told(fields_of(metadata))
        self._get = self._fields.get

    def usage(self) -> Usage | None:
        """Return what was used, None when no response has said it."""
        get = self._get
        if get is None:
            return None
        prompt, cached, thinking = (
            get("prompt_token_count"),
            get("cached_content_token_count"),
            get("thoughts_token_count"),
        )
        tool_use, output = get("tool_use_prompt_token_count"), get("response_token_count")
        if output is None:
            output = get("candidates_token_count")
        if prompt is cached is tool_use is output is thinking is None:
            return None
        modalities: dict[str, int] = {}
        for name, pattern in _DETAILS:
            if entries := get(name):
                modalities.update(_by_modality(entries, pattern))
        said = get("service_tier")
        if said is None:
            said = get("traffic_type")
        return Usage(
            input=max((prompt or 0) - cached, 0) if cached else prompt or 0,
            cached=cached or 0,
            tool_use=tool_use or 0,
            output=output or 0,
            thinking=thinking or 0,
            modalities=modalities,
            processing="" if said is None else _PROCESSING.get(str(getattr(said, "value", said)).lower(), ""),
        )


def _told(get: Callable[[str], Any]) -> dict[str, Any]:
    """Return the fields that say something; a count of 0 does."""
    found = ((name, get(name)) for name in _NAMES)
    return {name: value for name, value in found if value is not None and value != []}


def _by_modality(entries: Any, pattern: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for entry in entries:
        modality = getattr(entry.modality, "value", entry.modality)
        name = _MODALITIES.get(str(modality))
        if name and entry.token_count:
            key = pattern.format(name)
            counts[key] = counts.get(key, 0) + entry.token_count
    return counts
