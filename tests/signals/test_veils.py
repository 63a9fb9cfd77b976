"""Spans lose the secrets that anybody has put on them, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags

from obskit.signals.redaction import REDACTED, Redactor
from obskit.signals.veils import Veil

KEY = "AIza" + "Sy_-" * 9


def ended(**attributes: Any) -> Any:
    span = TracerProvider(shutdown_on_exit=False).get_tracer("app").start_span("work", attributes=attributes)
    span.end()
    return span


@pytest.mark.parametrize(
    ("key", "value", "clean"),
    [
        ("note", f"key {KEY}", f"key {REDACTED}"),
        ("password", "x", REDACTED),
        ("http.request.header.cookie", ("a=1; s=2",), REDACTED),
        ("url.full", "https://h/x?token=abc&page=2", f"https://h/x?token={REDACTED}&page=2"),
        ("url.query", "sig=abc&page=2", f"sig={REDACTED}&page=2"),
        ("notes", ["fine", "jane@example.org"], ("fine", REDACTED)),
    ],
)
def test_secrets_of_attributes_are_replaced(key: str, value: Any, clean: Any) -> None:
    """By name and by shape, in texts, lists and URLs; the span's other facts stay, also when it is seen again."""
    veil = Veil(Redactor())
    for _ in range(2):
        span = ended(**{key: value, "other": "kept", "n": 5})
        shown = veil.span(span)
        held = shown.attributes[key]
        assert (tuple(held) if isinstance(held, list) else held) == clean
        assert (shown.attributes["other"], shown.attributes["n"]) == ("kept", 5)
        assert (shown.name, shown.context, shown.start_time, shown.end_time) == (
            span.name,
            span.context,
            span.start_time,
            span.end_time,
        )
        assert shown.instrumentation_scope is span.instrumentation_scope


def test_a_clean_span_is_the_same_object() -> None:
    """Figures of tokens, ids, models, lists and URLs without secrets cost no copy."""
    veil = Veil(Redactor())
    span = ended(
        **{
            "gen_ai.usage.input_tokens": 5,
            "gen_ai.token.type": "input",
            "url.full": "https://h/x?page=2",
            "l": ["a", "b"],
        },
        **{"n": 1.5, "yes": True, "session.id": "s-1", "ints": [1, 2]},
    )
    assert veil.span(span) is span
    assert veil.span(span) is span


def test_events_links_name_and_status_too() -> None:
    """Whatever holds text is looked at."""
    veil, context = Veil(Redactor()), SpanContext(1, 2, False, TraceFlags(1))
    span = (
        TracerProvider(shutdown_on_exit=False)
        .get_tracer("app")
        .start_span("GET /users/jane@example.org", links=[Link(context, {"token": "abc"})])
    )
    span.add_event(f"saw {KEY}", {"password": "x", "n": 1})
    span.set_status(Status(StatusCode.ERROR, "password=abc"))
    span.end()
    assert isinstance(span, ReadableSpan)
    shown = veil.span(span)
    assert shown.name == f"GET /users/{REDACTED}"
    assert (shown.events[0].name, dict(shown.events[0].attributes or {})) == (
        f"saw {REDACTED}",
        {"password": REDACTED, "n": 1},
    )
    assert dict(shown.links[0].attributes or {}) == {"token": REDACTED}
    assert (shown.status.status_code, shown.status.description) == (StatusCode.ERROR, f"password={REDACTED}")


def test_what_is_known_to_be_clean_is_bounded() -> None:
    """Thousands of different values do not pile up."""
    veil = Veil(Redactor())
    for number in range(12_000):
        veil.span(ReadableSpan(name="x", attributes={"id": f"id-{number}"}))
    assert len(veil._clean) <= 5000
