"""What is around a call and in it, in few words: whom it is for, what it failed with, its share in the request."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Final

from obskit.llm.settings import redact, settings
from obskit.llm.usage import Usage
from obskit.signals.clientspans import ClientSpan, SdkSpan
from obskit.signals.context import RequestState

__all__ = ["add_to", "brief", "error_type", "note_failure", "whom"]

_WHO: Final = {"user_id": "user.id", "session_id": "session.id", "user_tier": "user.tier"}
_MOST_CHARACTERS: Final = 32

_totals_lock: Final = threading.RLock()  # re-entrant, as a finalizer may end a call at any time


def add_to(
    request: RequestState, usage: Usage | None, cost_usd: float | None, *, is_late: bool, is_priced: bool
) -> None:
    """Add a call to the totals of the request that it belongs to.

    Args:
        request: the request.
        usage: None where it is unknown.
        cost_usd: None where it is unknown.
        is_late: whether it is no call of its own.
        is_priced: whether nothing is missing in its cost.
    """
    # Nothing is called between the reading of a total and its writing.
    calls, cost = int(not is_late), cost_usd or 0.0
    tokens_in, tokens_out = (0, 0) if usage is None else (usage.billed_input, usage.billed_output)
    with _totals_lock:
        request.ai_calls += calls
        request.ai_cost_usd += cost
        request.ai_input_tokens += tokens_in
        request.ai_output_tokens += tokens_out
        if not is_priced:
            request.ai_unpriced_calls += 1


def whom(fields: Mapping[str, object]) -> dict[str, str]:
    """Return whom the running code works for, as attributes of a span.

    Args:
        fields: that the app has bound.
    """
    found = {name: str(fields[key]) for key, name in _WHO.items() if fields.get(key) is not None}
    if "session.id" in found and settings().genai_semconv != "default":
        found["gen_ai.conversation.id"] = found["session.id"]
    return found


def brief(usage: Usage) -> str:
    """Return a usage for a log line."""
    told = {**usage.kinds(), **usage.modalities, **usage.units}
    return ", ".join(f"{str(amount)[:_MOST_CHARACTERS]} {name}" for name, amount in told.items())


def error_type(error: BaseException | str | int) -> str:
    """Return `error.type`: the HTTP status where the error has one (429, 503, …), else the exception's class."""
    if not isinstance(error, BaseException):
        return str(error)
    codes = (getattr(error, name, None) for name in ("code", "status_code"))
    return next((str(code) for code in codes if isinstance(code, int)), type(error).__qualname__)


def note_failure(span: ClientSpan | SdkSpan, error: BaseException | str) -> str:
    """Put on a call's span what the call failed with, and return that as `error.type`."""
    kind = description = error_type(error)
    span.note({"error.type": kind})
    if isinstance(error, BaseException):
        status = getattr(error, "status", None)
        description = f"{kind} {status}" if status else redact(f"{kind}: {error}")[:200]
    span.fail(description)
    return kind
