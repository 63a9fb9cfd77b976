"""Made-up traces, logs, errors, alerts and AI calls."""

from __future__ import annotations

from typing import Any

from twin_values import HOSTILE, POLICY, PROJECT, SERVICES, now_ms, wave


def incident(at: int, *, is_open: bool) -> dict[str, Any]:
    start = now_ms() - 600_000 * (at + 1)
    return {
        "id": f"0.inc{at}",
        "policy_name": f"projects/{PROJECT}/alertPolicies/p{at % 3}",
        "policy_display_name": ("High latency", "Error spike", f"Token spike {HOSTILE}")[at % 3],
        "condition_name": "p95 above 2 s for 5 min",
        "severity": ("CRITICAL", "ERROR", "WARNING")[at % 3],
        "state": "open" if is_open else "closed",
        "started_at_ms": start,
        "ended_at_ms": None if is_open else start + 420_000,
        "observed_value": 2.84,
        "threshold_value": 2.0,
        "summary": f"p95 of chatbot is 2.84 s, above the threshold of 2 s. {HOSTILE}",
        "labels": {"job": "chatbot", "location": "global"},
        "documentation": {"content": POLICY, "subject": "High latency"},
        "notifications": [notification(at, state) for state in (("open",) if is_open else ("open", "closed"))],
    }


def notification(at: int, state: str = "open") -> dict[str, Any]:
    delivery = ("delivered", "inbox", "failed")[at % 3]
    return {
        "id": f"n{at}{state}",
        "incident_id": f"0.inc{at}",
        "policy_display_name": "High latency",
        "channel_name": f"projects/{PROJECT}/notificationChannels/1",
        "channel_type": ("webhook_tokenauth", "email", "pagerduty")[at % 3],
        "channel_display_name": "On-call",
        "state": state,
        "sent_at_ms": now_ms() - 600_000 * at,
        "delivery": delivery,
        "error": "503 from the receiver" if delivery == "failed" else "",
        "payload": {"version": "1.2", "incident": {"incident_id": f"0.inc{at}", "summary": HOSTILE}},
    }


def entry(at: int) -> dict[str, Any]:
    severity = ("INFO", "INFO", "DEBUG", "WARNING", "INFO", "ERROR", "NOTICE", "CRITICAL")[at % 8]
    http = (
        {"method": "POST", "url": "/chat", "status": 500 if severity == "ERROR" else 200, "latency_ms": 312.4}
        if at % 2
        else None
    )
    message = (
        HOSTILE
        if at % 9 == 4
        else ("request served", "cart loaded", "cache miss for key user:42", "slow reply from the model, trying again")[
            at % 4
        ]
    )
    return {
        "id": f"e{at}",
        "time_ms": now_ms() - at * 1700,
        "severity": severity,
        "service": SERVICES[at % 3],
        "message": message,
        "trace_id": f"{at % 12:032x}",
        "span_id": f"{1:016x}",
        "http": http,
        "fields": {"user_id": f"user-{at}", "gemini_tokens": {"input": 812, "output": 77}},
        "log_name": f"projects/{PROJECT}/logs/stdout",
    }


def trace_row(at: int) -> dict[str, Any]:
    return {
        "trace_id": f"{at:032x}",
        "root_name": (f"POST /chat {HOSTILE}", "GET /items/{item_id}", "POST /orders", "GET /health")[at % 4],
        "services": list(SERVICES[: 1 + at % 3]),
        "spans": 4 + at % 9,
        "errors": 1 if at % 5 == 2 else 0,
        "start_ms": now_ms() - 2300 * at,
        "duration_ms": 30 + 2400 * wave(at * 60_000, 1) ** 3,
        "has_ai": at % 4 == 0,
    }


def span(at: int, parent: int, name: str, service: str, start: float, length: float, **more: Any) -> dict[str, Any]:
    begin = now_ms() - 60_000
    return {
        "span_id": f"{at:016x}",
        "parent_span_id": f"{parent:016x}" if parent else "",
        "name": name,
        "service": service,
        "kind": more.get("kind", "INTERNAL"),
        "start_ms": begin + start,
        "duration_ms": length,
        "status": {"code": more.get("code", "OK"), "message": more.get("message", "")},
        "attributes": more.get("attributes", {"code.function": name}),
        "events": more.get("events", []),
    }


def trace(trace_id: str) -> dict[str, Any]:
    begin = now_ms() - 60_000
    ai = {
        "gen_ai.operation.name": "generate_content",
        "gen_ai.provider.name": "gcp.gemini",
        "gen_ai.request.model": "gemini-2.5-flash",
        "gen_ai.usage.input_tokens": 2841,
        "gen_ai.usage.output_tokens": 312,
        "obskit.gen_ai.cost_usd": 0.00163,
    }
    boom = {
        "time_ms": begin + 1490,
        "name": "exception",
        "attributes": {
            "exception.type": "OutOfStock",
            "exception.message": HOSTILE,
            "exception.stacktrace": "Traceback …",
        },
    }
    spans = [
        span(
            1,
            0,
            "POST /chat",
            "chatbot",
            0,
            1840,
            kind="SERVER",
            attributes={"http.route": "/chat", "http.response.status_code": 200, "user.id": HOSTILE},
        ),
        span(2, 1, "load conversation", "chatbot", 4, 46),
        span(3, 1, "generate_content gemini-2.5-flash", "chatbot", 62, 640, kind="CLIENT", attributes=ai),
        span(4, 1, "execute_tool find_item", "chatbot", 708, 812),
        span(5, 4, "GET", "chatbot", 712, 803, kind="CLIENT"),
        span(
            6,
            5,
            "GET /items/{item_id}",
            "shop",
            722,
            786,
            kind="SERVER",
            code="ERROR",
            message=f"OutOfStock {HOSTILE}",
            events=[boom],
        ),
        span(7, 6, "SELECT items", "shop", 740, 22),
        span(
            8,
            1,
            "generate_content gemini-2.5-flash",
            "chatbot",
            1526,
            300,
            kind="CLIENT",
            attributes={**ai, "gen_ai.usage.input_tokens": 3310},
        ),
        span(9, 1, "save conversation", "chatbot", 1828, 9),
    ]
    return {"trace_id": trace_id, "spans": spans, "logs": [entry(at) for at in range(6)]}


STACK = (
    'Traceback (most recent call last):\n  File "/srv/.venv/lib/python3.11/site-packages/flask/app.py", line 880, in full_dispatch_request\n    rv = self.dispatch_request()\n  File "/srv/shop/orders.py", line 41, in order\n    raise OutOfStock(item)\nshop.orders.OutOfStock: '
    + HOSTILE
)


def group(at: int) -> dict[str, Any]:
    return {
        "id": f"g{at}",
        "type": ("OutOfStock", "ServerError", "KeyError")[at % 3],
        "message": (HOSTILE, "503 UNAVAILABLE. The model is overloaded.", "'item_id'")[at % 3],
        "service": SERVICES[at % 3],
        "count": 42 - at * 9,
        "first_ms": now_ms() - 3_600_000,
        "last_ms": now_ms() - 40_000 * at,
        "affected_users": 7 - at,
        "sample_trace_id": f"{at:032x}",
    }


def error_event(at: int) -> dict[str, Any]:
    return {
        "time_ms": now_ms() - 30_000 * at,
        "stack": STACK,
        "service": "shop",
        "version": "1.4.0",
        "user": "user-42",
        "http": {"method": "POST", "url": "/orders", "status": 500},
        "trace_id": f"{at:032x}",
        "location": {"file": "/srv/shop/orders.py", "line": 41, "function": "order"},
    }


def overview() -> dict[str, Any]:
    now = now_ms()
    services = [
        {
            "name": name,
            "version": f"1.{at}.0",
            "requests": 1840 - 600 * at,
            "error_ratio": (0.004, 0.061, 0.013)[at],
            "p50_ms": 84.0 + at,
            "p95_ms": (740.0, 2310.0, 120.0)[at],
            "p99_ms": (1330.0, 4100.0, 260.0)[at],
            "last_seen_ms": now - 900,
            "sparkline": [wave(now - (60 - bar) * 60_000, at) for bar in range(60)],
        }
        for at, name in enumerate(SERVICES)
    ]
    counts = {
        "traces": 3140,
        "spans": 21_480,
        "log_entries": 9_204,
        "errors": 96,
        "series": 512,
        "dashboards": 4,
        "policies": 6,
        "open_incidents": 2,
    }
    return {
        "services": services,
        "counts": counts,
        "incidents": [incident(at, is_open=at < 2) for at in range(5)],
        "llm": {"input_tokens": 4_182_300, "output_tokens": 391_220, "cost_usd": 3.4127, "unpriced_calls": 4},
    }


def llm() -> dict[str, Any]:
    now = now_ms()
    names = (("gemini-2.5-pro", 2.9), ("gemini-2.5-flash", 0.5), (f"in-house {HOSTILE}", 0.0))
    models = [
        {
            "model": name,
            "provider": "gcp.gemini",
            "calls": 900 - 250 * at,
            "input_tokens": 2_182_300 // (at + 1),
            "output_tokens": 191_220 // (at + 1),
            "cached_tokens": 800_000 // (at + 1),
            "thinking_tokens": 42_000,
            "cost_usd": cost,
            "unpriced_calls": 4 if not cost else 0,
            "errors": at,
        }
        for at, (name, cost) in enumerate(names)
    ]
    keys = (
        "calls",
        "input_tokens",
        "output_tokens",
        "cached_tokens",
        "thinking_tokens",
        "cost_usd",
        "unpriced_calls",
        "errors",
    )
    times = [now - (60 - at) * 60_000 for at in range(60)]
    return {
        "models": models,
        "cost_by_time": [[at, 0.05 * wave(at, 1)] for at in times],
        "tokens_by_time": [[at, 60_000 * wave(at, 2), 9_000 * wave(at, 3)] for at in times],
        "total": {key: sum(model[key] for model in models) for key in keys},
    }


def policies() -> list[dict[str, Any]]:
    states = (
        ("High latency", "firing", 2.84, 2.0),
        ("Error spike", "ok", 0.012, 0.05),
        (f"Token spike {HOSTILE}", "pending", 1.4, 1.5),
        ("Gemini rate limit", "ok", 0.0, 10.0),
        ("Backup missed", "unsupported", None, None),
        ("Odd", "error", None, 1.0),
    )
    return [
        {
            "name": f"projects/{PROJECT}/alertPolicies/p{at}",
            "display_name": name,
            "enabled": True,
            "severity": ("CRITICAL", "ERROR", "WARNING")[at % 3],
            "state": state,
            "value": value,
            "threshold": threshold,
            "last_evaluated_ms": now_ms() - 12_000,
            "error": "unknown function foo" if state == "error" else "",
            "open_incidents": int(state == "firing"),
            "query": "histogram_quantile(0.95, sum by (le, job) (rate(workload_googleapis_com:http_server_request_duration_bucket[5m]))) > 2",
        }
        for at, (name, state, value, threshold) in enumerate(states)
    ]
