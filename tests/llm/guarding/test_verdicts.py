"""What failures of several SDKs say."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from obskit.llm.guard import Failure, verdict_on


def failure(status: int = 0, *, headers: dict[str, str] | None = None, details: Any = None, code: Any = None) -> Any:
    error = Exception("refused")
    error.status_code = status
    error.response = SimpleNamespace(headers=headers or {})
    error.details = details
    error.code = code
    return error


@pytest.mark.fault(47, "Retry-After in seconds and as a date")
@pytest.mark.parametrize(
    ("headers", "pause_s"),
    [
        ({"retry-after-ms": "1500"}, 1.5),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:27:00 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 0.0),
        ({"Retry-After": "-5"}, 0.0),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "1e12"}, 3600.0),
        ({}, None),
    ],
)
def test_the_headers_pause(headers, pause_s):
    """Seconds, milliseconds or a date by the answer's own clock; nonsense is none, and an age is an hour."""
    assert verdict_on(failure(429, headers=headers)).pause_s == pause_s


def test_messages_of_googles_api_core():
    """Its details are messages, not mappings."""
    from google.rpc.error_details_pb2 import QuotaFailure, RetryInfo

    info = RetryInfo()
    info.retry_delay.seconds = 12
    verdict = verdict_on(failure(429, details=[info]))
    assert (verdict.failure, verdict.pause_s) == (Failure.MINUTE_QUOTA, 12.0)
    day = SimpleNamespace(violations=[SimpleNamespace(quota_id="GenerateRequestsPerDay")])
    assert verdict_on(failure(429, details=[day, info])).failure is Failure.DAILY_QUOTA
    assert verdict_on(failure(429, details=[QuotaFailure()])).failure is Failure.MINUTE_QUOTA


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (failure(503), Failure.BROKEN),
        (failure(529), Failure.BROKEN),
        (failure(400), Failure.OTHER),
        (failure(429, code="insufficient_quota"), Failure.OTHER),
        (httpx.ConnectError("no route"), Failure.BROKEN),
        (ConnectionResetError(), Failure.BROKEN),
        (TimeoutError(), Failure.BROKEN),
        (ValueError("ours"), Failure.OTHER),
        (failure(429, details={"error": {"details": ["odd", {"violations": None}]}}), Failure.MINUTE_QUOTA),
    ],
)
def test_the_kind_of_failure(error, kind):
    """Overload and lost connections pass; an empty account and mistakes of ours do not."""
    assert verdict_on(error).failure is kind
