"""The log line of a request, put together by hand from parts that are escaped once per route."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any, Final

from obskit.config import Config
from obskit.signals import consoles, logs
from obskit.signals.context import RequestState
from obskit.signals.lines import THREE_DIGITS, encode, json_text, moment, plain, quoted
from obskit.signals.redaction import Redactor
from obskit.signals.shown import Shown, is_plain_path

__all__ = ["RequestLines", "use_project"]

_MOST_KNOWN: Final = 1000
_MOST_CHARS: Final = 512
_MOST_BOUND_CHARS: Final = 100_000
_OWN: Final = frozenset({"user_id", "session_id"})
_NO_TOKENS: Final = ',"gemini_tokens":{"input":0,"output":0}'

_made: Final[weakref.WeakSet[RequestLines]] = weakref.WeakSet()


def use_project(project: str) -> None:
    """Name traces by this project from here on, which became known only after the start."""
    for lines in tuple(_made):
        lines.use_project(project)


class RequestLines:
    """Makes the line that each request ends with.

    Args:
        config: the settings in force.
        redactor: knows what is secret.
    """

    def __init__(self, config: Config, redactor: Redactor) -> None:
        self._redactor = redactor
        self._shown = Shown(redactor)
        self._service = quoted(config.service_name)
        self._environment = f',"environment":{quoted(config.environment)}' if config.environment else ""
        self._trace = f"projects/{plain(config.project)}/traces/" if config.project else ""
        self.agents: dict[str, str] = {}
        self.starts: dict[tuple[str, str], str] = {}
        _made.add(self)

    def use_project(self, project: str) -> None:
        """Name a trace by this project from here on."""
        self._trace = f"projects/{plain(project)}/traces/"

    def line(self, state: RequestState, kind: str, around: Mapping[str, object], head: str, http: str) -> str:
        """Return the line with its end.

        Args:
            state: of a request that has ended.
            kind: `error.type`, empty on success.
            around: what is bound.
            head: from `parts`.
            http: from `parts`.
        """
        path = state.path
        if is_plain_path(path) is None:
            path = self._shown.path(path)
            shown = quoted(path)[1:-1]
        else:
            shown = path
        if logs.is_readable():
            return self._readable(state, kind, path, around)
        micros = int(state.elapsed_s * 1e6 + 0.5)
        millis, rest = divmod(micros, 1000)
        thousandths = THREE_DIGITS[rest]
        when = moment(state.start_ns + micros * 1000)
        if trace_id := state.trace_id:
            joined = (
                f',"trace_id":"{trace_id}","logging.googleapis.com/trace":"{self._trace}{trace_id}"'
                f',"logging.googleapis.com/spanId":"{state.span_id}"'
                f',"logging.googleapis.com/trace_sampled":{"true" if state.sampled else "false"}'
            )
        else:
            joined = ',"trace_id":null'
        if around:
            who = (
                f',"user_id":{self._value("user_id", around.get("user_id"))}'
                f',"session_id":{self._value("session_id", around.get("session_id"))}'
            )
        else:
            who = ',"user_id":null,"session_id":null'
        agent = state.user_agent
        known = self.agents.get(agent)
        if known is None:
            known = self._agent(agent)
        start = self.starts.get((state.scheme, state.host))
        if start is None:
            start = self._start(state.scheme, state.host)
        return (
            f'{head}{shown} {state.status}","time":"{when}","timestamp":"{when}"{joined}{who}'
            f',"latency_ms":{millis}.{thousandths}{self._ai(state) if state.ai_calls else _NO_TOKENS}'
            f'{http}"latency":"{millis // 1000}.{THREE_DIGITS[millis % 1000]}{thousandths}s"'
            f',"responseSize":"{state.response_bytes}"{known}'
            f"{self._rest(state) if state.referrer or state.request_bytes >= 0 else ''}"
            f',"remoteIp":{quoted(state.remote_ip) if state.remote_ip else "null"},"requestUrl":"{start}{shown}'
            f'{self._query(state.query) if state.query else ""}"}}{self._more(around) if around else ""}}}\n'
        )

    def parts(self, state: RequestState, kind: str) -> tuple[str, str]:
        """Return the two parts of a line that are the same for all requests of one route, method and outcome.

        Args:
            state: of such a request.
            kind: `error.type`, empty on success.
        """
        failed = f'"error_type":{quoted(kind)},' if kind else ""
        cancelled = '"cancelled":true,' if kind == "client_disconnected" else ""
        method = quoted(state.method[:64])
        head = (
            f'{{"severity":"{_severity(state, kind)}","service":{self._service}{self._environment}'
            f',"endpoint":{quoted(state.route)},{failed}{cancelled}"message":{method[:-1]} '
        )
        return head, f',"httpRequest":{{"requestMethod":{method},"status":{state.status},'

    def _agent(self, agent: str) -> str:
        part = f',"userAgent":{quoted(self._shown.agent(agent))}' if agent else ""
        _note(self.agents, agent, part)
        return part

    def _start(self, scheme: str, host: str) -> str:
        part = quoted(f"{scheme}://{host[:_MOST_CHARS]}")[1:-1] if host else ""
        _note(self.starts, (scheme, host), part)
        return part

    def _rest(self, state: RequestState) -> str:
        size = f',"requestSize":"{state.request_bytes}"' if state.request_bytes >= 0 else ""
        if not state.referrer:
            return size
        return f'{size},"referer":{quoted(self._shown.url(state.referrer))}'

    def _query(self, query: str) -> str:
        return quoted(f"?{self._shown.query(query)}")[1:-1]

    def _value(self, key: str, value: object) -> str:
        return "null" if value is None else json_text(encode(key, value, self._redactor))

    @staticmethod
    def _ai(state: RequestState) -> str:
        unpriced = f',"ai_unpriced_calls":{state.ai_unpriced_calls}' if state.ai_unpriced_calls else ""
        return (
            f',"gemini_tokens":{{"input":{state.ai_input_tokens},"output":{state.ai_output_tokens}}}'
            f',"ai_calls":{state.ai_calls},"ai_cost_usd":{state.ai_cost_usd:.9g}{unpriced}'
        )

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


def _note(known: dict[Any, str], key: Any, part: str) -> None:
    if len(known) >= _MOST_KNOWN:
        known.clear()
    known[key] = part


def _severity(state: RequestState, kind: str) -> str:
    if state.error is not None or state.status >= 500:
        return "ERROR"
    return "WARNING" if state.status >= 400 or kind else "INFO"
