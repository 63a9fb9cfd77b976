"""Requests in, JSON out: the parameters, errors and bodies that all HTTP services of the backend share."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from obskit.errors import ProblemsError

__all__ = ["ApiError", "JsonReply", "Parameters", "body_of", "on_api_error", "on_problems", "on_surprise"]

_STATUS_NAMES = {
    400: "INVALID_ARGUMENT",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    415: "INVALID_ARGUMENT",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
}


class ApiError(Exception):
    """An answer other than success.

    Args:
        status: HTTP status.
        message: what is wrong, for a person.
        name: Google's canonical code; by default the usual one for the status.
        retry_after_s: what the caller is asked to wait, 0 for nothing.
    """

    def __init__(self, status: int, message: str, *, name: str = "", retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s
        self.name = name or _STATUS_NAMES.get(status, "UNKNOWN")


class JsonReply(Response):
    """JSON that a browser accepts: a number that JSON has no word for becomes null."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return the body."""
        try:
            return json.dumps(content, separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode()
        except ValueError:  # NaN, an infinity, or half a surrogate pair
            return json.dumps(_finite(content), separators=(",", ":"), allow_nan=False).encode()


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value


def on_api_error(_request: Request, error: Exception) -> Response:
    """Return an `ApiError` in the form of Google's REST APIs."""
    status, name = (error.status, error.name) if isinstance(error, ApiError) else (500, "INTERNAL")
    told: dict[str, Any] = {"code": status, "message": str(error), "status": name}
    if isinstance(error, ApiError) and error.retry_after_s:
        kind = "type.googleapis.com/google.rpc.RetryInfo"
        told["details"] = [{"@type": kind, "retryDelay": f"{error.retry_after_s:g}s"}]
    return JsonReply({"error": told}, status_code=status)


def on_problems(request: Request, error: Exception) -> Response:
    """Return the problems of a definition, query or setting as a bad request."""
    return on_api_error(request, ApiError(400, str(error)))


def on_surprise(request: Request, error: Exception) -> Response:
    """Return an error of the backend itself; its traceback is in the backend's log."""
    return on_api_error(request, ApiError(500, f"{type(error).__name__}: {error}"))


async def body_of(request: Request) -> dict[str, Any]:
    """Return the JSON object of the body.

    Raises:
        ApiError: 400, the body is no JSON object.
    """
    try:
        value = json.loads(await request.body() or b"{}")
    except (ValueError, RecursionError) as error:
        raise ApiError(400, f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ApiError(400, "the body must be a JSON object")
    return value


class Parameters:
    """The query of a request, read with types and limits.

    Every method raises `ApiError` 400 for a value that has not its type.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    @classmethod
    def of(cls, request: Request) -> Parameters:
        """Return the parameters in the request's URL."""
        return cls(request.query_params)

    def text(self, name: str, default: str = "") -> str:
        """Return a text, at most 10,000 characters of it."""
        return self._values.get(name, default)[:10_000]

    def flag(self, name: str) -> bool:
        """Return whether the parameter is there and not a word for no."""
        return self._values.get(name, "").lower() not in {"", "0", "false", "no"}

    def whole(self, name: str, default: int, *, low: int = 0, high: int = 2**53) -> int:
        """Return a whole number, moved into its range."""
        return int(min(max(self.number(name, default), low), high))

    def number(self, name: str, default: float) -> float:
        """Return a finite number."""
        return self._parsed(name, default, float, "a number")

    def optional_ms(self, name: str) -> int | None:
        """Return a time in milliseconds since the epoch, or None where it is not given."""
        return self.whole(name, 0) if self._values.get(name) else None

    def _parsed(self, name: str, default: float, parse: Callable[[str], float], kind: str) -> float:
        raw = self._values.get(name, "")
        if not raw:
            return default
        try:
            value = parse(raw)
        except ValueError as error:
            raise ApiError(400, f"parameter {name!r}: {raw!r} is not {kind}") from error
        if not math.isfinite(value):
            raise ApiError(400, f"parameter {name!r}: {raw!r} is not finite")
        return value


HANDLERS: Mapping[Any, Callable[[Request, Exception], Response]] = {
    ApiError: on_api_error,
    ProblemsError: on_problems,
    Exception: on_surprise,
}
