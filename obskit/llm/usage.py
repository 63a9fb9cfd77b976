"""How many tokens a call used, in kinds that do not overlap, and what of them is billed as what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Self

__all__ = ["IMPLAUSIBLE", "KINDS", "MOST_TOKENS", "GeminiUsage", "Usage", "fields_of", "from_totals", "usage_of"]


_new: Final = tuple.__new__
_NONE: Final[Mapping[str, Any]] = MappingProxyType({})

MOST_TOKENS: Final = 2**40
"""Of one reply; a count beyond it is not believed. A million such replies still make an exact sum of 64 bits."""
_MOST_UNITS: Final = 2.0**50
_INT: Final = {int}


class _Fields(NamedTuple):
    input: int
    cached: int
    cache_write: int
    tool_use: int
    output: int
    thinking: int
    billed_input: int
    billed_output: int
    modalities: Mapping[str, int]
    units: Mapping[str, float]
    processing: str


class Usage(_Fields):
    """What one call used. The kinds of tokens do not overlap: their sum is what is billed.

    A tuple, because one is made of every reply, and the metrics add up their columns.

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

    __slots__ = ()

    def __new__(
        cls,
        *,
        input: int = 0,  # noqa: A002 - the kind's name
        cached: int = 0,
        cache_write: int = 0,
        tool_use: int = 0,
        output: int = 0,
        thinking: int = 0,
        modalities: Mapping[str, int] = _NONE,
        units: Mapping[str, float] = _NONE,
        processing: str = "",
    ) -> Self:
        """Return the usage; what is billed follows from the kinds."""
        billed = (input + cached + cache_write + tool_use, output + thinking)
        kinds = (input, cached, cache_write, tool_use, output, thinking)
        return _new(cls, (*kinds, *billed, modalities, units, processing))

    def __getnewargs_ex__(self) -> tuple[tuple[()], dict[str, Any]]:
        """Return how a copy is made."""
        names = ("billed_input", "billed_output")
        return (), {name: value for name, value in self._asdict().items() if name not in names}

    @property
    def total(self) -> int:
        """All billed tokens."""
        return self.billed_input + self.billed_output

    @property
    def is_empty(self) -> bool:
        """Whether nothing was used that anybody could bill."""
        return not self.billed_input and not self.billed_output and not any(self.units.values())

    is_plain = False
    """Whether it is of plain tokens alone, so far as that is known: nothing of modalities, units or writing a cache."""

    @property
    def is_plausible(self) -> bool:
        """Whether the counts are such as a reply can have; one that is not would spoil sums for good."""
        counts = self[:6]
        if set(map(type, counts)) != _INT or min(counts) < 0:
            return False
        if self.total > MOST_TOKENS:
            return False
        if self.units and not _are_plausible(self.units.values(), _MOST_UNITS):
            return False
        return not self.modalities or _are_plausible(self.modalities.values(), MOST_TOKENS)

    def with_units(self, units: Mapping[str, float]) -> Usage:
        """Return the same with these units."""
        return Usage._make(self._replace(units=units))

    def processed(self, processing: str) -> Usage:
        """Return the same, processed in another way."""
        return self._replace(processing=processing)

    def kinds(self) -> dict[str, int]:
        """Return the counts by kind, without those that are zero."""
        return {kind: count for kind, count in zip(KINDS, self[:6], strict=True) if count}


class _Looked(Usage):
    """A usage of plain tokens, whose counts have been looked at as they were read."""

    __slots__ = ()
    is_plain = True
    is_plausible = True


KINDS: Final = ("input", "cached", "cache_write", "tool_use", "output", "thinking")
"""The kinds of tokens, which come first in a `Usage`, in its order."""

IMPLAUSIBLE: Final = Usage(input=-1)
"""Stands for counts that are no numbers at all."""


def _are_plausible(amounts: Iterable[Any], most: float) -> bool:
    return all(isinstance(amount, int | float) and amount is not True and 0 <= amount <= most for amount in amounts)


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
        return None if get is None else usage_of({name: get(name) for name in _NAMES})


def usage_of(fields: Mapping[str, Any]) -> Usage | None:
    """Return what the fields of one `usage_metadata` say, None where they say nothing.

    Args:
        fields: by name; None where they say nothing.

    Raises:
        KeyError: one is missing that all replies of the newest SDK have.
    """
    prompt, cached = fields["prompt_token_count"], fields["cached_content_token_count"]
    tool_use, thinking = fields["tool_use_prompt_token_count"], fields["thoughts_token_count"]
    output = fields.get("response_token_count")
    if output is None:
        output = fields["candidates_token_count"]
    if prompt is cached is tool_use is output is thinking is None:
        return None
    prompt, cached, tool_use, output, thinking = prompt or 0, cached or 0, tool_use or 0, output or 0, thinking or 0
    said = fields.get("service_tier")
    if said is None:
        said = fields.get("traffic_type")
    processing = "" if said is None else _PROCESSING.get(str(getattr(said, "_value_", said)).lower(), "")
    modalities = _NONE
    try:
        if (
            fields["prompt_tokens_details"]
            or fields["cache_tokens_details"]
            or fields["candidates_tokens_details"]
            or fields.get("response_tokens_details")
        ):
            modalities = _modalities(fields.get)
        whole = prompt if prompt > cached else cached  # noqa: FURB136 - calling `max` takes longer than all the rest
        given, made = whole + tool_use, output + thinking
        is_plausible = min(prompt, cached, tool_use, output, thinking) >= 0 and given + made <= MOST_TOKENS
    except TypeError:  # not even numbers
        return IMPLAUSIBLE
    if not is_plausible or (given + made).__class__ is not int:
        return _new(Usage, (prompt, cached, 0, tool_use, output, thinking, given, made, modalities, _NONE, processing))
    kind = Usage if modalities else _Looked
    return _new(
        kind, (whole - cached, cached, 0, tool_use, output, thinking, given, made, modalities, _NONE, processing)
    )


def _modalities(get: Callable[[str], Any]) -> Mapping[str, int]:
    modalities: Mapping[str, int] = _NONE
    for name, pattern in _DETAILS:
        entries = get(name)
        if entries and (counts := _by_modality(entries, pattern)):
            modalities = {**modalities, **counts}
    return modalities


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
