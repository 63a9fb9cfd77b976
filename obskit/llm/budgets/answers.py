"""What a web app answers where a budget has run out: 429 with `Retry-After`, or 503 where the store is down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from obskit.errors import BudgetExceededError, BudgetUnavailableError, ConfigError, Problem

__all__ = ["answer_of", "install_answers"]

_CAUGHT: Final = (BudgetExceededError, BudgetUnavailableError)


def answer_of(error: BudgetExceededError | BudgetUnavailableError) -> tuple[dict[str, Any], int, Mapping[str, str]]:
    """Return the answer for such an error, as Flask takes it: a JSON body, the status, and headers.

    The body says what remains and when the budget resets, and nothing of other users.
    """
    headers = {"Retry-After": str(error.retry_after_s)}
    if isinstance(error, BudgetUnavailableError):
        return {"detail": "The service cannot check its budgets just now."}, 503, headers
    budget = {
        "tier": error.tier,
        "period": error.period,
        "unit": error.unit,
        "limit": error.limit,
        "used": error.used,
        "remaining": error.remaining,
        "resets_at": error.resets_at.isoformat(),
    }
    shared = error.scope not in {"user", "session"}
    if shared:  # what others use together is not everybody's to know
        budget = {name: budget[name] for name in ("tier", "period", "resets_at")}
    return {"detail": f"The budget of this {error.period} is used up.", "budget": budget}, 429, headers


def install_answers(app: Any) -> None:
    """Make a FastAPI, Starlette or Flask app answer 429 with `Retry-After` where a budget has not enough left.

    And 503 where the store is down and the budgets fail closed. A response that has begun, as of a stream, cannot be
    taken back: reserve before it begins.

    Args:
        app: the app.

    Raises:
        ConfigError: it is of another kind.
    """
    if hasattr(app, "add_exception_handler"):
        for error in _CAUGHT:
            app.add_exception_handler(error, _starlette)
    elif hasattr(app, "register_error_handler"):
        for error in _CAUGHT:
            app.register_error_handler(error, answer_of)
    else:
        raise ConfigError(
            Problem(
                place=f"install_answers({type(app).__name__})",
                problem="this is no FastAPI, Starlette or Flask app",
                way_out="Catch BudgetExceededError yourself, and answer with answer_of(error)",
            )
        )


async def _starlette(_request: Any, error: Any) -> Any:
    from starlette.responses import JSONResponse  # noqa: PLC0415 - an app of Flask never comes here

    body, status, headers = answer_of(error)
    return JSONResponse(body, status_code=status, headers=dict(headers))
