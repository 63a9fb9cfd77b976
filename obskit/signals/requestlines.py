"""The log line of a request, put together by hand from parts that are escaped once per route."""

from __future__ import annotations

from typing import Any, Final

from obskit.config import Config
from obskit.signals import consoles, logs
from obskit.signals.context import RequestState, bound
from obskit.signals.lines import encode, json_text, moment, plain, quoted
from obskit.signals.redaction import Redactor

__all__ = ["RequestLines"]

_MOST_PARTS: Final = 5000
_MOST_CHARS: Final = 512
_MOST_URL_CHARS: Final = 2048
_MOST_BOUND_CHARS: Final = 100_000
_OWN: Final = frozenset({"user_id", "session_id"})
_NO_TOKENS: Final = ',"gemini_tokens":{"input":0,"output":0}'


class RequestLines:
    """Makes the line that each request ends with.

    Args:
        config: the settings in force.
        redactor: knows what is secret.
    """

    def __init__(self, config: Config, redactor: Redactor) -> None:
        self._redactor = redactor
        self._service = quoted(config.service_name)
        self._environment = f',"environment":{quoted(config.environment)}' if config.environment else ""
        self._trace = f"projects/{plain(config.project)}/traces/" if config.project else ""
        self._parts: dict[tuple[str, str, int, str], str] = {}

    def line(self, state: RequestState, kind: str) -> str:
        """Return the line with its end.

        Args:
            state: of a request that has ended.
            kind: `error.type`, empty on success.
        """
        fields = bound() if not state.bound else {**bound(), **state.bound}
        path = self._redactor.url(state.path)[:_MOST_URL_CHARS]
        if logs.is_readable():
            return self._readable(state, kind, path, fields)
        key = (state.method, state.route, state.status, kind)
        part = self._parts.get(key)
        if part is None:
            part = self._part(state, kind)
            if len(self._parts) < _MOST_PARTS:
                self._parts[key] = part
        when = moment(state.start_ns + int(state.elapsed_s * 1e9))
        latency_ms = state.elapsed_s * 1000
        trace_id = state.trace_id
        joined = (
            f',"trace_id":"{trace_id}","logging.googleapis.com/trace":"{self._trace}{trace_id}"'
            f',"logging.googleapis.com/spanId":"{state.span_id}"'
            f',"logging.googleapis.com/trace_sampled":{"true" if state.sampled else "false"}'
            if trace_id
            else ',"trace_id":null'
        )
        user, session = fields.get("user_id"), fields.get("session_id")
        return (
            f'{part}"message":{quoted(f"{state.method[:64]} {path} {state.status}")}'
            f',"time":"{when}","timestamp":"{when}"'
            f"{joined}"
            f',"user_id":{self._value("user_id", user)},"session_id":{self._value("session_id", session)}'
            f',"latency_ms":{latency_ms:.3f}{self._ai(state) if state.ai_calls else _NO_TOKENS}'
            f"{self._http(state, path)}{self._more(fields) if fields else ''}}}\n"
        )

    def _part(self, state: RequestState, kind: str) -> str:
        failed = f'"error_type":{quoted(kind)},' if kind else ""
        cancelled = '"cancelled":true,' if kind == "client_disconnected" else ""
        return (
            f'{{"severity":"{_severity(state, kind)}","service":{self._service}{self._environment}'
            f',"endpoint":{quoted(state.route)},{failed}{cancelled}'
        )

    def _value(self, key: str, value: object) -> str:
        return "null" if value is None else json_text(encode(key, value, self._redactor))

    @staticmethod
    def _ai(state: RequestState) -> str:
        unpriced = f',"ai_unpriced_calls":{state.ai_unpriced_calls}' if state.ai_unpriced_calls else ""
        return (
            f',"gemini_tokens":{{"input":{state.ai_input_tokens},"output":{state.ai_output_tokens}}}'
            f',"ai_calls":{state.ai_calls},"ai_cost_usd":{state.ai_cost_usd:.9g}{unpriced}'
        )

    def _http(self, state: RequestState, path: str) -> str:
        query = self._redactor.query(state.query)[:_MOST_URL_CHARS] if state.query else ""
        start = f"{state.scheme}://{state.host[:_MOST_CHARS]}" if state.host else ""
        url = f"{start}{path}?{query}" if query else f"{start}{path}"
        parts = [
            f',"httpRequest":{{"requestMethod":{quoted(state.method[:64])},"requestUrl":{quoted(url)}',
            f'"status":{state.status},"latency":"{state.elapsed_s:.6f}s","responseSize":"{state.response_bytes}"',
        ]
        if state.request_bytes >= 0:
            parts.append(f'"requestSize":"{state.request_bytes}"')
        if state.user_agent:
            parts.append(f'"userAgent":{quoted(self._redactor.text(state.user_agent[:_MOST_CHARS]))}')
        if state.referrer:
            parts.append(f'"referer":{quoted(self._redactor.url(state.referrer[:_MOST_URL_CHARS]))}')
        if state.remote_ip:
            parts.append(f'"remoteIp":{quoted(state.remote_ip)}')
        return ",".join(parts) + "}"

    def _more(self, fields: Any) -> str:
        text = ""
        for key, value in fields.items():
            if key in _OWN or value is None:
                continue
            one = f",{quoted(logs.field_name(key))}:{json_text(encode(key, value, self._redactor))}"
            if len(text) + len(one) > _MOST_BOUND_CHARS // 2:
                return f'{text},"obskit_truncated":true'
            text += one
        return text

    def _readable(self, state: RequestState, kind: str, path: str, fields: Any) -> str:
        shown: dict[str, Any] = {key: encode(key, value, self._redactor) for key, value in fields.items()}
        if kind and kind != str(state.status):
            shown["error"] = kind
        if state.ai_calls:
            shown["tokens"] = f"{state.ai_input_tokens}+{state.ai_output_tokens}"
            shown["cost"] = f"${state.ai_cost_usd:.4f}" if not state.ai_unpriced_calls else "unknown"
        if state.trace_id:
            shown["trace"] = state.trace_id[:8]
        text = f"{state.method[:64]} {path} {state.status}  {state.elapsed_s * 1000:.1f} ms"
        time_ns = state.start_ns + int(state.elapsed_s * 1e9)
        return consoles.line(_severity(state, kind), text, shown, time_ns=time_ns) + "\n"


def _severity(state: RequestState, kind: str) -> str:
    if state.error is not None or state.status >= 500:
        return "ERROR"
    return "WARNING" if state.status >= 400 or kind else "INFO"
