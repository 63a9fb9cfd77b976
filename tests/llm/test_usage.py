"""Usage: what Gemini tells, in kinds that do not overlap."""

from __future__ import annotations

from google.genai import types

from obskit.llm.usage import GeminiUsage, Usage, from_totals


def read(*metadata: types.GenerateContentResponseUsageMetadata | None) -> Usage | None:
    reader = GeminiUsage()
    for each in metadata:
        reader.observe(each)
    return reader.usage()


def test_cached_tokens_are_a_part_of_the_prompt() -> None:
    """The kinds do not overlap, and their sums are what is billed as input and as output."""
    usage = read(
        types.GenerateContentResponseUsageMetadata(
            prompt_token_count=100,
            cached_content_token_count=60,
            tool_use_prompt_token_count=7,
            candidates_token_count=20,
            thoughts_token_count=5,
        )
    )
    assert usage == Usage(input=40, cached=60, tool_use=7, output=20, thinking=5)
    assert (usage.billed_input, usage.billed_output, usage.total) == (107, 25, 132)
    assert sum(usage.kinds().values()) == usage.total


def test_of_a_stream_the_last_value_of_each_field_counts() -> None:
    """Cumulative chunks are not added, and a field that a later chunk leaves out keeps its value."""
    usage = read(
        types.GenerateContentResponseUsageMetadata(prompt_token_count=10, thoughts_token_count=3),
        types.GenerateContentResponseUsageMetadata(prompt_token_count=10, candidates_token_count=4),
        None,
        types.GenerateContentResponseUsageMetadata(candidates_token_count=9),
    )
    assert usage == Usage(input=10, output=9, thinking=3)


def test_nothing_told_is_not_zero() -> None:
    """A reply without usage has an unknown usage, not one of zero tokens."""
    assert read(None) is None
    assert read(types.GenerateContentResponseUsageMetadata()) is None


def test_modalities_are_kept_for_their_prices() -> None:
    """Audio, image and video counts are kept under genai-prices' names; documents count as images, text as the rest."""
    modality = types.ModalityTokenCount
    usage = read(
        types.GenerateContentResponseUsageMetadata(
            prompt_token_count=100,
            prompt_tokens_details=[
                modality(modality=types.MediaModality.TEXT, token_count=50),
                modality(modality=types.MediaModality.AUDIO, token_count=30),
                modality(modality=types.MediaModality.IMAGE, token_count=12),
                modality(modality=types.MediaModality.DOCUMENT, token_count=8),
            ],
        )
    )
    assert usage is not None
    assert usage.modalities == {"input_audio_tokens": 30, "input_image_tokens": 20}


def test_totals_where_parts_are_larger_than_the_whole() -> None:
    """A part that is larger than its whole counts as the whole; negative numbers count as nothing."""
    assert from_totals(input_tokens=5, output_tokens=1, cached_tokens=9, thinking_tokens=3) == Usage(
        cached=9, thinking=3
    )
    assert from_totals(input_tokens=-5, output_tokens=-1, cached_tokens=-2) == Usage()
