"""LiteLLM: each call counts once, whichever SDK works below, and equals what the server has billed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.slow  # a third of a gigabyte to install, and ten seconds to import

OF_OPENAI = (
    "completion",
    "acompletion",
    "stream",
    "plain_stream",
    "astream",
    "embedding",
    "aembedding",
    "retried",
    "router",
    "beside",
)
OF_ANTHROPIC = ("of_anthropic", "stream_of_anthropic", "astream_of_anthropic")


@pytest.fixture(scope="module")
def run(drive: Callable[..., Any]) -> Any:
    return drive("drive_litellm.py", "litellm", "litellm", "orjson", "soundfile")


def attributes(run: Any, scenario: str) -> dict[str, Any]:
    return dict(run["seen"][scenario]["spans"][0]["attributes"])


def test_nothing_of_the_sdk_is_missing(run: Any) -> None:
    """Every place in LiteLLM that obskit stands at is there, and every scenario went through as without obskit."""
    assert run["seen"]["problems"]["returned"] == []
    assert {name: found["problem"] for name, found in run["seen"].items() if found["problem"]} == {}


@pytest.mark.parametrize("scenario", OF_OPENAI)
def test_calls_over_the_openai_sdk_count_once(run: Any, scenario: str) -> None:
    """LiteLLM calls OpenAI's SDK, which obskit follows too: one call, one span, the bill's tokens."""
    seen = run["seen"][scenario]
    usage = run["ledger"][scenario][0]["body"]["usage"]
    assert sum(seen["tokens"].values()) == usage["total_tokens"]
    assert (seen["calls"], len(seen["spans"]), len(run["ledger"][scenario]), seen["unpriced"]) == (1, 1, 1, 0)
    assert seen["cost"] > 0
    assert attributes(run, scenario)["gen_ai.provider.name"] == "openai"


@pytest.mark.parametrize("scenario", OF_ANTHROPIC)
def test_calls_of_other_providers(run: Any, scenario: str) -> None:
    """LiteLLM puts Anthropic's usage into OpenAI's terms, with the cache in the input: the sums are the bill's."""
    seen = run["seen"][scenario]
    usage = run["ledger"][scenario][0]["body"]["usage"]
    assert seen["tokens"] == {
        "input": usage["input_tokens"], "cached": 3000, "cache_write": 700, "output": 65, "thinking": 25,
    }  # fmt: skip
    assert (seen["calls"], seen["unpriced"]) == (1, 0)
    assert attributes(run, scenario)["gen_ai.provider.name"] == "anthropic"


def test_the_app_sees_its_own_stream(run: Any) -> None:
    """A stream whose usage only obskit has asked for has no chunk more."""
    assert run["seen"]["stream"]["returned"] == 5
    assert run["seen"]["plain_stream"]["returned"] == 4


def test_a_stream_that_is_left_ends(run: Any) -> None:
    """It counts as abandoned, and unpriced, since only its end would have told the usage."""
    assert run["seen"]["left_stream"]["returned"] is True
    assert attributes(run, "left_stream")["obskit.gen_ai.is_abandoned"] is True
    assert run["seen"]["left_stream"]["unpriced"] == 1


def test_a_reply_from_litellms_cache_costs_nothing(run: Any) -> None:
    """Two calls, one of them answered by the cache: one bill."""
    seen = run["seen"]["cached"]
    assert (seen["calls"], len(run["ledger"]["cached"]), seen["unpriced"]) == (2, 1, 0)
    assert sum(seen["tokens"].values()) == run["ledger"]["cached"][0]["body"]["usage"]["total_tokens"]


def test_retries_and_refusals(run: Any) -> None:
    """Attempts of the SDK below belong to LiteLLM's call; a refusal has its status."""
    assert run["seen"]["retried"]["retries"] == 1
    assert attributes(run, "refused")["error.type"] == "429"


def test_images_are_units(run: Any) -> None:
    """A model that is paid by the image counts images, at the configured price."""
    assert (run["seen"]["images"]["units"], run["seen"]["images"]["cost"]) == ({"images": 2}, pytest.approx(0.08))
