"""What an exporter's trouble means, and what to do about it."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from obskit.doctor import permissions
from obskit.signals.delivery import Outcome
from obskit.signals.redaction import Redactor

__all__ = ["Situation", "base_of", "explain"]

_API_OFF: Final = re.compile(r"([a-z]+\.googleapis\.com)\S* (?:has not been used|is disabled)|SERVICE_DISABLED")
_API_NAMED: Final = re.compile(r"\b([a-z]+\.googleapis\.com)\b")
_STATUS: Final = re.compile(r"HTTP (\d{3})")
_SIGNAL_PATH: Final = re.compile(r"/v1/(traces|metrics|logs)$")
_CHARS: Final = 240
_CONNECT_S: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Where a test record was refused.

    Attributes:
        exporter: its name.
        signal: ``spans``, ``metrics`` or ``errors``.
        place: where it was sent, without secrets.
        source: the setting or variable that names the place.
        project: that is written to.
        identity: the account that writes, empty where it is not known.
    """

    exporter: str
    signal: str
    place: str
    source: str
    project: str = ""
    identity: str = ""


def base_of(place: str) -> str:
    """Return a place without the path of a signal."""
    return _SIGNAL_PATH.sub("", place)


def explain(outcome: Outcome, situation: Situation) -> tuple[str, str]:
    """Return what was wrong, for people, and the way out."""
    detail = " ".join(Redactor().text(outcome.detail).split())
    detail = detail if len(detail) <= _CHARS else detail[: _CHARS - 1] + "…"
    if "PermissionDenied" in detail or "Forbidden: 403" in detail:
        return _denied(outcome.detail, detail, situation)
    if found := _API_OFF.search(outcome.detail):
        api = found.group(1) or (named.group(1) if (named := _API_NAMED.search(outcome.detail)) else "the API")
        return detail, f"gcloud services enable {api} --project {situation.project}"
    if outcome.reason == "credentials":
        return detail, "Run `gcloud auth application-default login`, or renew the credentials that are set"
    if situation.exporter == "otlp":
        return detail, _otlp(outcome, detail, situation)
    if situation.exporter == "sentry":
        return detail, "Copy the DSN from Sentry: Settings, Projects, Client Keys"
    if outcome.reason in {"unavailable", "unreachable"}:
        return detail, f"Check that {situation.place} can be reached from here; {situation.source} names it"
    return detail, "See the text of the refusal"


def _denied(full: str, detail: str, situation: Situation) -> tuple[str, str]:
    if _API_OFF.search(full):
        api = named.group(1) if (named := _API_NAMED.search(full)) else "the API"
        return detail, f"gcloud services enable {api} --project {situation.project}"
    needed = permissions.of_signal(situation.signal)
    name = permissions.named_in(full) or (needed.name if needed else "")
    role = next((each.role for each in permissions.NEEDED if each.name == name), needed.role if needed else "")
    text = f"permission {name} is missing on project {situation.project} ({detail})"
    return text, permissions.grant(role, situation.project, situation.identity)


def _is_listening(url: str) -> bool:
    parts = urlsplit(url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname or "", port), timeout=_CONNECT_S).close()
    except (OSError, ValueError):
        return False
    return True


def _otlp(outcome: Outcome, detail: str, situation: Situation) -> str:
    if outcome.reason == "unreachable":
        base = base_of(situation.place)
        if "Timeout" in detail:
            return f"{base} takes connections and does not answer; see the receiver's own log"
        if _is_listening(base):
            return (
                f"Something listens at {base} and does not speak HTTP; is it the gRPC port? HTTP's is 4318 by default"
            )
        return f"Start an OTLP/HTTP receiver at {base}, or correct {situation.source}"
    found = _STATUS.search(detail)
    match found.group(1) if found else "":
        case "401" | "403":
            return "Set the receiver's key in OTEL_EXPORTER_OTLP_HEADERS, e.g. `authorization=Bearer …`"
        case "404" | "405":
            return f"{situation.place} is no OTLP/HTTP path there; correct {situation.source}"
        case "429":
            return "The receiver takes no more for now; try again later"
        case "400" | "415":
            return "Check that OTLP/HTTP with protobuf is spoken there"
        case _:
            return f"See the receiver's log; {situation.source} names it"
