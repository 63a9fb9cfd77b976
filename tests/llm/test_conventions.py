"""The names under which AI calls are recorded, and what is said of a call that has no price."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import obskit
from obskit.config import Config
from obskit.llm import record, unpriced
from obskit.llm.usage import Usage
from obskit.testing import Captured

MODEL = "gpt-4o"
OLD = "gen_ai.client.token.usage"
COUNTERS = "gen_ai.client.inference.usage"
USED = Usage(
    input=600, cached=300, cache_write=100, output=40, thinking=10, modalities={"input_audio_tokens": 250}
)  # fmt: skip


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    unpriced.forget()
    yield
    unpriced.forget()


def call(semconv: str, usage: Usage | None = USED, *, is_stream: bool = False) -> None:
    record.configure(Config(genai_semconv=semconv))
    made = record.Call(operation="chat", provider="openai", model=MODEL)
    if is_stream:
        made.first_chunk()
    made.end(usage=usage)


def names(seen: Captured) -> set[str]:
    return {
        point.metric for point in seen.metrics if point.attributes.get("gen_ai.request.model") == MODEL and point.value
    }


@pytest.mark.parametrize(("semconv", "is_old", "is_new"), [("default", 1, 0), ("latest", 0, 1), ("both", 1, 1)])
def test_which_names_are_recorded(semconv: str, is_old: int, is_new: int, seen: Captured) -> None:
    """Today's names, the newer ones, or both; what obskit's dashboards and alerts read is there in each case."""
    call(semconv)
    found = names(seen)
    assert (OLD in found, f"{COUNTERS}.input_tokens" in found) == (bool(is_old), bool(is_new))
    assert found >= {"obskit.gen_ai.tokens", "obskit.gen_ai.cost", "gen_ai.client.operation.duration"}


def test_the_newer_counters_add_up(seen: Captured) -> None:
    """Input by modality sums to the billed input; cache and reasoning are parts of it, in counters of their own."""
    call("latest")

    def total(name: str, **labels: str) -> float:
        return seen.total(f"{COUNTERS}.{name}", **labels)

    assert total("input_tokens") == 1000
    assert total("input_tokens", **{"gen_ai.token.modality": "audio"}) == 250
    assert total("input_tokens", **{"gen_ai.token.modality": "text"}) == 750
    assert total("output_tokens", **{"gen_ai.token.modality": "unknown"}) == 50
    assert total("cache_read.input_tokens") == 300
    assert total("cache_write.input_tokens") == 100
    assert total("reasoning.output_tokens") == 10


def test_the_newer_attributes(seen: Captured) -> None:
    """Tokens by modality, the time to the first chunk and the conversation are on the span under the newer names."""
    with obskit.span("work"):
        obskit.bind(session_id="s1")
        call("both", is_stream=True)
        obskit.bind(session_id=None)
    found: dict[str, Any] = dict(seen.span(f"chat {MODEL}").attributes)
    assert found["gen_ai.usage.audio.input_tokens"] == 250
    assert found["gen_ai.usage.text.input_tokens"] == 750
    assert found["gen_ai.response.time_to_first_chunk"] >= 0
    assert found["gen_ai.request.stream"] is True
    assert found["gen_ai.conversation.id"] == "s1"
    assert found["gen_ai.usage.input_tokens"] == 1000


def test_metrics_have_no_user_and_no_session(seen: Captured) -> None:
    """Operation, provider, model and tier are labels of every AI metric; who asked never is."""
    with obskit.span("work"):
        obskit.bind(user_id="u1", session_id="s1", user_tier="free")
        call("both")
        obskit.bind(user_id=None, session_id=None, user_tier=None)
    points = [point for point in seen.metrics if point.attributes.get("gen_ai.request.model") == MODEL]
    assert len(points) >= 10
    for point in points:
        assert point.attributes.items() >= {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai"}.items()
        assert not {"user.id", "session.id", "gen_ai.conversation.id"} & set(point.attributes)
    assert {point.attributes.get("user.tier") for point in points if point.value} == {"free"}


def test_an_unknown_name_is_refused() -> None:
    """The setting has three values, and says so."""
    from obskit.config.settings import SETTINGS

    (setting,) = (each for each in SETTINGS if each.name == "genai_semconv")
    with pytest.raises(ValueError, match="default, latest, both"):
        setting.parse("newest")


def test_a_model_without_a_price_is_said_once(seen: Captured, caplog: pytest.LogCaptureFixture) -> None:
    """One line for each unknown model, however many calls it has; each call is counted."""
    with caplog.at_level(logging.WARNING, logger="obskit"):
        for _ in range(3):
            obskit.record_usage("nobody", "unheard-of", input_tokens=10)
        obskit.record_usage("nobody", "unseen", units={"seconds": 2})
        obskit.record_usage("openai", MODEL, input_tokens=10)
    said = [message for message in caplog.messages if "No price is known" in message]
    assert len(said) == 2
    assert "unheard-of (nobody): its calls are counted as unpriced" in said[0]
    assert "unseen (nobody) for seconds" in said[1]
    assert "`prices`" in said[0]
    assert seen.total("obskit.gen_ai.unpriced_calls", **{"gen_ai.request.model": "unheard-of"}) == 3


def test_the_llm_dashboard_shows_unpriced_calls() -> None:
    """The shipped dashboard has a panel of calls without a known price, by model."""
    golden = Path(__file__).resolve().parents[1] / "dashboards" / "golden" / "llm.otlp.json"
    (panel,) = (
        tile["widget"]
        for tile in json.loads(golden.read_text())["mosaicLayout"]["tiles"]
        if tile["widget"].get("title") == "Calls without a known price"
    )
    assert "obskit_gen_ai_unpriced_calls" in json.dumps(panel) or "obskit.gen_ai.unpriced_calls" in json.dumps(panel)
    assert "gen_ai_request_model" in json.dumps(panel)
