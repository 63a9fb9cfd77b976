"""anthropic: what is recorded through the real SDK equals what a server that speaks its protocol has billed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from genai_prices import extract_usage

VERSIONS = [
    pytest.param(("anthropic-2", "anthropic>=2,<3"), id="2"),
    pytest.param(("anthropic-1", "anthropic>=1,<2"), id="1", marks=pytest.mark.slow),
    pytest.param(("anthropic-0", "anthropic<1"), id="0", marks=pytest.mark.slow),
]
WHOLE = (
    "message", "amessage", "stream", "astream", "stream_helper", "astream_helper", "tools", "beta", "raw",
    "streamed_raw", "retried", "aretried",
)  # fmt: skip
LEFT = ("left_stream", "left_helper", "aleft_stream", "broken_stream", "failing_stream")


@pytest.fixture(scope="module", params=VERSIONS)
def run(request: pytest.FixtureRequest, drive: Callable[..., Any]) -> Any:
    return drive("drive_anthropic.py", *request.param)


def attributes(run: Any, scenario: str, at: int = 0) -> dict[str, Any]:
    return dict(run["seen"][scenario]["spans"][at]["attributes"])


def test_nothing_of_the_sdk_is_missing(run: Any) -> None:
    """Every place in the SDK that obskit stands at is there, and every scenario went through as without obskit."""
    assert run["seen"]["problems"]["returned"] == []
    assert {name: found["problem"] for name, found in run["seen"].items() if found["problem"]} == {}


@pytest.mark.parametrize("scenario", WHOLE)
def test_tokens_and_cost_equal_the_bill(run: Any, scenario: str) -> None:
    """Anthropic's input is without the cache, so cached and written tokens add to it; the price is the list's own."""
    seen = run["seen"][scenario]
    usages = [entry["body"]["usage"] for entry in run["ledger"][scenario]]

    def total(name: str) -> int:
        return sum(usage[name] for usage in usages)

    thinking = sum(usage["output_tokens_details"]["thinking_tokens"] for usage in usages)
    assert seen["tokens"] == {
        "input": total("input_tokens"),
        "cached": total("cache_read_input_tokens"),
        "cache_write": total("cache_creation_input_tokens"),
        "output": total("output_tokens") - thinking,
        "thinking": thinking,
    }
    prices = [extract_usage(entry["body"], provider_id="anthropic").calc_price() for entry in run["ledger"][scenario]]
    assert seen["cost"] == pytest.approx(sum(float(price.total_price) for price in prices), rel=1e-9)
    assert seen["calls"] == len(usages) == len(seen["spans"])
    assert seen["unpriced"] == 0


@pytest.mark.parametrize("scenario", LEFT)
def test_a_stream_that_ends_early_counts_what_it_told(run: Any, scenario: str) -> None:
    """The first event tells the input, which is billed whatever comes; the span says that the stream ended early."""
    usage = run["ledger"][scenario][0]["body"]["usage"]
    seen = run["seen"][scenario]
    assert seen["tokens"]["input"] == usage["input_tokens"]
    assert seen["tokens"]["cached"] == usage["cache_read_input_tokens"]
    assert seen["tokens"]["output"] == 1
    found = attributes(run, scenario)
    assert found.get("obskit.gen_ai.is_abandoned", False) is ("left" in scenario)
    assert ("error.type" in found) is ("left" not in scenario)


def test_what_the_app_sees_is_unchanged(run: Any) -> None:
    """Streams, helpers and tools give the app what the SDK gives without obskit."""
    seen = run["seen"]
    assert seen["message"]["returned"] == "words"
    assert seen["stream"]["returned"] == seen["astream"]["returned"] == 8
    assert seen["stream_helper"]["returned"] == "word word word "
    assert seen["astream_helper"]["returned"] == 90
    assert seen["tools"]["returned"] == "get_price"
    assert seen["refused"]["returned"] == "refused"


def test_attributes_follow_the_conventions(run: Any) -> None:
    """Operation, provider, models, server and finish reason are on the one span of the call."""
    found = attributes(run, "message")
    assert found["gen_ai.provider.name"] == "anthropic"
    assert found["gen_ai.request.model"] == found["gen_ai.response.model"] == "claude-sonnet-4-5"
    assert found["gen_ai.request.max_tokens"] == 99
    assert found["gen_ai.response.finish_reasons"] == ["end_turn"]
    assert found["gen_ai.usage.cache_creation.input_tokens"] == 700
    assert found["server.address"] == "127.0.0.1"
    assert run["seen"]["message"]["spans"][0]["is_child"]


def test_counting_tokens_is_no_call(run: Any) -> None:
    """count_tokens is free and counts nothing."""
    assert run["seen"]["counted"]["calls"] == 0


@pytest.mark.parametrize("scenario", ["batch", "abatch"])
def test_a_batch_counts_each_result_once(run: Any, scenario: str) -> None:
    """However often its results are read, and wherever the app stops: at half the price, and not as calls."""
    seen = run["seen"][scenario]
    assert seen["returned"] == ([2, 4, 4] if scenario == "batch" else 4)
    usages = [entry["body"]["usage"] for entry in run["ledger"][scenario]]
    assert seen["tokens"]["input"] == sum(usage["input_tokens"] for usage in usages)
    assert seen["tokens"]["cache_write"] == 3 * 700
    assert (seen["calls"], len(seen["spans"]), seen["unpriced"]) == (0, 3, 0)
    whole = [
        extract_usage(
            {**entry["body"], "usage": {**entry["body"]["usage"], "service_tier": "standard"}}, provider_id="anthropic"
        )
        for entry in run["ledger"][scenario]
    ]
    assert seen["cost"] == pytest.approx(sum(float(each.calc_price().total_price) for each in whole) / 2, rel=1e-9)


def test_retries_are_events(run: Any) -> None:
    """Each attempt that the SDK makes again is an event with its status, and no call."""
    seen = run["seen"]["retried"]
    assert [event[1]["error.type"] for event in seen["spans"][0]["events"]] == ["529", "429"]
    assert (seen["retries"], seen["calls"]) == (2, 1)
    assert attributes(run, "refused")["error.type"] == "429"


def test_prompts_are_captured_only_when_asked_for(run: Any) -> None:
    """With capture_prompts, the question, the instructions and the answer are on the span."""
    called, streamed = (attributes(run, "prompts", at) for at in range(2))
    assert "hello there" in called["gen_ai.input.messages"]
    assert "Be brief." in called["gen_ai.system_instructions"]
    assert '"get_price"' in called["gen_ai.output.messages"]
    assert json.loads(streamed["gen_ai.output.messages"])[0]["parts"] == [{"type": "text", "content": "word " * 3}]
    assert "hello" not in json.dumps(attributes(run, "message"))
