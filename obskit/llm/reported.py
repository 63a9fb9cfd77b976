"""Usage that the app reports itself: calls of services that obskit does not follow."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from obskit.llm import prices
from obskit.llm.hooks import hooks
from obskit.llm.record import Call
from obskit.llm.usage import from_totals

__all__ = ["record_usage"]

_log = logging.getLogger("obskit")


def record_usage(
    provider: str,
    model: str,
    *,
    input_tokens: int = 0,
    output_tokens: int = 0,
    cached_tokens: int = 0,
    thinking_tokens: int = 0,
    units: Mapping[str, float] | None = None,
    cost_usd: float | None = None,
    operation: str = "chat",
    duration_s: float | None = None,
    error: BaseException | str | int | None = None,
) -> None:
    """Record an AI call that obskit does not see by itself: a span, tokens, cost and duration.

    Never raises; a negative number counts as 0. What no call can have (more than 2**40 tokens, a number that is none)
    counts as unknown.

    Args:
        provider: as OpenTelemetry's `gen_ai.provider.name` spells it: ``openai``, ``anthropic``, ``gcp.vertex_ai``, …
        model: the model that was asked for.
        input_tokens: tokens billed as input, cached ones included.
        output_tokens: tokens billed as output, thinking included.
        cached_tokens: those of the input that came from a cache.
        thinking_tokens: those of the output that were thinking.
        units: what is billed otherwise than by token, e.g. ``{"images": 2}``, ``{"seconds": 8}``, ``{"minutes": 1.5}``,
            ``{"characters": 900}``; a row of the setting `prices` gives the price of each.
        cost_usd: what the call cost in US dollars; by default it follows from the prices, and where those do not
            know the model, the call counts as unpriced.
        operation: ``chat``, ``generate_content``, ``embeddings``, ``text_completion``, …
        duration_s: how long the call took, in seconds; it is taken to have ended now.
        error: what it failed with: an exception, an HTTP status, or a short word.
    """
    try:
        call = Call(
            operation=operation,
            provider=provider,
            model=prices.model_name(model),
            begun_s_ago=max(duration_s or 0.0, 0.0),
        )
        usage = from_totals(
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cached_tokens=cached_tokens,
            thinking_tokens=thinking_tokens,
        )
        hooks.reported(call)
        if units:
            counted = {str(unit): max(amount, 0) for unit, amount in units.items()}
            usage = usage.with_units(counted)
        failed = error if error is None or isinstance(error, BaseException) else str(error)
        call.end(usage=None if usage.is_empty and failed is not None else usage, error=failed, cost_usd=cost_usd)
    except Exception as problem:  # noqa: BLE001 - telemetry must not break the app
        _log.warning("obskit.record_usage: the call was not recorded: %s: %s", type(problem).__name__, problem)
