"""openai: what is recorded through the real SDK equals what a server that speaks its protocol has billed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from genai_prices import Usage, calc_price, extract_usage

VERSIONS = [
    pytest.param(("openai-3", "openai>=3,<4"), id="3"),
    pytest.param(("openai-2", "openai>=2,<3"), id="2", marks=pytest.mark.slow),
    pytest.param(("openai-1", "openai>=1,<2"), id="1", marks=pytest.mark.slow),
]
TOLD = (
    "chat", "achat", "priority", "stream", "astream", "silent_stream", "asilent_stream", "stream_helper", "parsed",
    "tools", "responses", "aresponses_stream", "responses_helper", "background", "embeddings", "images",
    "transcription", "raw", "raw_stream", "streamed_raw", "astreamed_body", "retried", "aretried", "azure", "who", "half_imported",
)  # fmt: skip
"""Scenarios whose usage the server tells, so that obskit must have all of it."""
IN_A_BATCH = {"input_tokens": 897_959, "cache_read_tokens": 2_048, "output_tokens": 4_001}


@pytest.fixture(scope="module", params=VERSIONS)
def run(request: pytest.FixtureRequest, drive: Callable[..., Any]) -> Any:
    return drive("drive_openai.py", *request.param)


def billed(run: Any, scenario: str) -> tuple[int, int]:
    usages = [entry["body"]["usage"] for entry in run["ledger"][scenario]]
    inputs = sum(usage.get("prompt_tokens", usage.get("input_tokens", 0)) for usage in usages)
    return inputs, sum(usage.get("completion_tokens", usage.get("output_tokens", 0)) for usage in usages)


def listed(run: Any, scenario: str, provider: str) -> float:
    """Return what the price list's own reader says of the very bodies that the server has sent."""
    total = 0.0
    for entry in run["ledger"][scenario]:
        found = extract_usage(entry["body"], provider_id=provider, api_flavor=entry["flavor"])
        total += float(found.calc_price().total_price)
    return total


def in_a_batch(model: str, **tokens: int) -> float:
    """Return what so many tokens of short requests in a batch cost, by the list's own reckoning of a few of them."""
    total = 0.0
    for kind, count in tokens.items():
        few = Usage(**{"input_tokens": 0, "output_tokens": 0, kind: 1_000})
        if kind == "cache_read_tokens":
            few.input_tokens = 1_000
        listed = calc_price(few, model, provider_id="openai", price_context={"processing": "batch"})
        total += float(listed.total_price) * count / 1_000
    return total


def attributes(run: Any, scenario: str, at: int = 0) -> dict[str, Any]:
    return dict(run["seen"][scenario]["spans"][at]["attributes"])


def test_nothing_of_the_sdk_is_missing(run: Any) -> None:
    """Every place in the SDK that obskit stands at is there, and every scenario went through as without obskit."""
    assert run["seen"]["problems"]["returned"] == []
    assert {name: found["problem"] for name, found in run["seen"].items() if found["problem"]} == {}


@pytest.mark.parametrize("scenario", TOLD)
def test_tokens_equal_the_bill(run: Any, scenario: str) -> None:
    """Input and output tokens are those of the server's bodies, and the request's totals are the same."""
    seen = run["seen"][scenario]
    inputs, outputs = billed(run, scenario)
    tokens = seen["tokens"]
    assert sum(tokens.get(kind, 0) for kind in ("input", "cached", "cache_write")) == inputs > 0
    assert sum(tokens.get(kind, 0) for kind in ("output", "thinking")) == outputs
    assert seen["request"][1:3] == [inputs, outputs]
    assert seen["request"][3] == pytest.approx(seen["cost"])
    assert seen["calls"] == len(run["ledger"][scenario])
    assert seen["unpriced"] == 0


@pytest.mark.parametrize("scenario", ["chat", "stream", "responses", "embeddings", "tools"])
def test_cost_equals_the_price_lists_own_reading(run: Any, scenario: str) -> None:
    """The cost is that of genai-prices' own reader over the same bodies."""
    assert run["seen"][scenario]["cost"] == pytest.approx(listed(run, scenario, "openai"), rel=1e-9)


def test_cached_and_reasoning_tokens_are_parts(run: Any) -> None:
    """OpenAI's input includes cached tokens and its output reasoning: they are split off, not added."""
    usage = run["ledger"]["chat"][0]["body"]["usage"]
    assert run["seen"]["chat"]["tokens"] == {
        "input": usage["prompt_tokens"] - 1024, "cached": 1024, "output": usage["completion_tokens"] - 12, "thinking": 12,
    }  # fmt: skip
    found = attributes(run, "chat")
    assert found["gen_ai.usage.input_tokens"] == usage["prompt_tokens"]
    assert found["gen_ai.usage.cache_read.input_tokens"] == 1024
    assert found["gen_ai.usage.reasoning.output_tokens"] == 12


def test_priority_costs_more(run: Any) -> None:
    """A call that the service tier says was of priority has that tier's price."""
    assert run["seen"]["priority"]["cost"] == pytest.approx(1.7 * run["seen"]["chat"]["cost"])


def test_attributes_follow_the_conventions(run: Any) -> None:
    """Operation, provider, models, parameters, server and finish reason are on the span, below the app's own."""
    found = attributes(run, "chat")
    assert found["gen_ai.operation.name"] == "chat"
    assert found["gen_ai.provider.name"] == "openai"
    assert found["gen_ai.request.model"] == found["gen_ai.response.model"] == "gpt-4o"
    assert found["gen_ai.request.temperature"] == 0.5
    assert found["gen_ai.response.finish_reasons"] == ["stop"]
    assert found["server.address"] == "127.0.0.1"
    assert run["seen"]["chat"]["spans"][0]["is_child"]
    assert "hello there" not in json.dumps(found)
    assert attributes(run, "azure")["gen_ai.provider.name"] == "azure.ai.openai"
    assert attributes(run, "tools")["gen_ai.response.finish_reasons"] == ["tool_calls"]


def test_the_app_sees_its_own_stream(run: Any) -> None:
    """A stream is asked for its usage, and the chunk that tells it is not shown to an app that has not asked."""
    assert run["seen"]["stream"]["returned"] == run["seen"]["astream"]["returned"] == 5
    assert run["seen"]["silent_stream"]["returned"] == run["seen"]["asilent_stream"]["returned"] == [1, 1, 1, 1]
    assert run["seen"]["stream"]["first_chunks"] == 1


@pytest.mark.parametrize("scenario", ["untold_stream", "left_stream", "dropped_stream", "aleft_stream"])
def test_a_stream_that_does_not_tell_is_unpriced(run: Any, scenario: str) -> None:
    """No usage was told: the call counts, unpriced, and no cost is made up; a stream that was left says so."""
    seen = run["seen"][scenario]
    assert (seen["calls"], seen["unpriced"], seen["cost"], seen["tokens"]) == (1, 1, 0, {})
    is_left = attributes(run, scenario).get("obskit.gen_ai.is_abandoned", False)
    assert is_left is (scenario != "untold_stream")


def test_units_are_counted(run: Any) -> None:
    """Images, minutes of sound and characters of speech count where no tokens are billed, at the configured price."""
    seen = run["seen"]
    assert (seen["counted_images"]["units"], seen["counted_images"]["cost"]) == ({"images": 3}, pytest.approx(0.12))
    assert seen["timed_transcription"]["units"] == {"minutes": 1.5}
    assert seen["timed_transcription"]["cost"] == pytest.approx(0.009)
    for scenario in ("speech", "streamed_speech"):
        assert (seen[scenario]["units"], seen[scenario]["returned"]) == ({"characters": 12}, 4000)
        assert "obskit.gen_ai.is_abandoned" not in attributes(run, scenario)


def test_a_background_response_counts_once(run: Any) -> None:
    """Its usage is told when it is fetched: counted at the first fetch, as the same call."""
    seen = run["seen"]["background"]
    assert seen["returned"] == ["completed", "completed"]
    assert seen["calls"] == 1


def test_a_batch_counts_once(run: Any) -> None:
    """Its usage is told when it is done, however often it is asked for; at the price of batches, and not as a call."""
    seen = run["seen"]["batch"]
    assert seen["returned"] == ["in_progress", "completed", "completed", "in_progress"]
    assert seen["tokens"] == {"input": 897_959, "cached": 2_048, "output": 3_501, "thinking": 500}
    assert (seen["calls"], len(seen["spans"]), seen["unpriced"]) == (0, 1, 0)
    assert seen["cost"] == pytest.approx(in_a_batch("gpt-4o", **IN_A_BATCH), rel=1e-9)


def test_a_batch_of_many_short_requests_is_not_priced_as_a_long_one(run: Any) -> None:
    """It tells their sum, which is longer than where this model's long prices begin; each of them is not."""
    assert run["seen"]["abatch"]["cost"] == pytest.approx(in_a_batch("gpt-5.4", **IN_A_BATCH), rel=1e-9)


def test_retries_are_events(run: Any) -> None:
    """Each attempt that the SDK makes again is an event with its status, a count, and no call."""
    seen = run["seen"]["retried"]
    assert [event[1]["error.type"] for event in seen["spans"][0]["events"]] == ["429", "503"]
    assert all(event[1]["obskit.gen_ai.retry_delay_s"] > 0 for event in seen["spans"][0]["events"])
    assert (seen["retries"], seen["calls"], seen["spans"][0]["status"]) == (2, 1, "UNSET")
    assert attributes(run, "retried")["obskit.gen_ai.attempts"] == 3
    assert run["seen"]["aretried"]["retries"] == 1


def test_failures_have_their_status(run: Any) -> None:
    """A refusal has its HTTP status and when to come back; a call that reaches nobody the exception's class."""
    refused = attributes(run, "refused")
    assert run["seen"]["refused"]["returned"] == "refused"
    assert refused["error.type"] == "429"
    assert refused["obskit.gen_ai.retry_after_s"] == pytest.approx(0.001)
    assert attributes(run, "unreachable")["error.type"] == "APIConnectionError"
    assert run["seen"]["refused"]["unpriced"] == 0


def test_an_unknown_model_is_unpriced(run: Any) -> None:
    """Its tokens are counted, its cost is not, and is not $0 either."""
    seen = run["seen"]["unknown_model"]
    assert (seen["unpriced"], seen["cost"]) == (2, 0)
    assert sum(seen["tokens"].values()) == sum(billed(run, "unknown_model"))


def test_what_is_no_call_of_a_model_is_left_alone(run: Any) -> None:
    """Listing models has no span and counts nothing."""
    assert (run["seen"]["no_call"]["calls"], run["seen"]["no_call"]["spans"]) == (0, [])


def test_prompts_are_captured_only_when_asked_for(run: Any) -> None:
    """With capture_prompts, the question and the answer are on the span, the stream's in one piece."""
    called, streamed, responded = (attributes(run, "prompts", at) for at in range(3))
    assert "hello there" in called["gen_ai.input.messages"]
    assert '"tool_call"' in called["gen_ai.output.messages"]
    assert json.loads(streamed["gen_ai.output.messages"])[0]["parts"] == [{"type": "text", "content": "word " * 3}]
    assert "Be brief." in responded["gen_ai.system_instructions"]
    assert "words" in responded["gen_ai.output.messages"]


def test_hooks_come_before_and_after(run: Any) -> None:
    """Budgets and guards hear of a call as of Gemini's, and may refuse it before anything is sent."""
    told = run["seen"]["hooked"]["returned"]
    assert told == [
        ["before", "gpt-4o", "hello there"],
        ["after", sum(billed(run, "hooked"))],
        ["before", "gpt-4o", "hello there"],
    ]
    assert len(run["ledger"]["hooked"]) == 1
    assert attributes(run, "hooked", 1)["error.type"] == "PermissionError"


def test_who_asked_is_on_the_span(run: Any) -> None:
    """User, session and tier are on the span."""
    found = attributes(run, "who")
    assert (found["user.id"], found["session.id"], found["user.tier"]) == ("u1", "s1", "premium")
