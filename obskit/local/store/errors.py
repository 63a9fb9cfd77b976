"""Error events, in groups of the same exception from the same place."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from obskit.local.store.database import Database, load, plain, text_of

__all__ = ["ErrorEvent", "ErrorStore", "group_of", "has_stack"]

_FRAME: Final = re.compile(r'^\s*File "(?P<file>[^"]+)", line \d+, in (?P<function>\S+)')
_TYPE: Final = re.compile(r"^(?P<type>[A-Za-z_][\w.]*)(?::\s?(?P<text>.*))?$")
_HEADER: Final = re.compile(r"^(?:  \+ Exception Group )?Traceback \(most recent call last\):$", re.MULTILINE)
_OTHER_STACK: Final = re.compile(r"^\s+at \S", re.MULTILINE)  # Java, JavaScript, C#
_GROUP_MARGIN: Final = re.compile(r"^  \| ?")
_TOP_FRAMES: Final = 3
_EVENTS_KEPT: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorEvent:
    """One report.

    Attributes:
        time_ms: milliseconds since the epoch on the backend's clock.
        stack: the traceback, or the message of a report without one.
        http: method, url, user_agent, referrer, status, remote_ip.
        location: file, line, function.
    """

    time_ms: int
    stack: str
    service: str = ""
    version: str = ""
    user: str = ""
    trace_id: str = ""
    http: Mapping[str, Any] = field(default_factory=dict)
    location: Mapping[str, Any] = field(default_factory=dict)


def group_of(event: ErrorEvent) -> tuple[str, str, str]:
    """Return id, exception type and message of the group that an event belongs to.

    Google groups by exception type and the top frames; what exactly counts is not published.
    """
    kind, message, frames = _parsed(event.stack)
    basis: Any = (kind, frames) if frames else (re.sub(r"\d+", "#", message), sorted(event.location.items()))
    digest = hashlib.sha256(plain(repr((event.service, basis))).encode()).hexdigest()[:16]
    return digest, kind, message


def has_stack(text: str) -> bool:
    """Return whether a text holds a stack trace: Python's, or one of the languages that write ``at`` before a frame."""
    return _HEADER.search(text) is not None or _OTHER_STACK.search(text) is not None


def _parsed(text: str) -> tuple[str, str, list[tuple[str, str]]]:
    """Return type, message and innermost frames of the exception that a text ends with.

    A chain of exceptions ends with the one that was not handled; of an exception group it is the group itself. The
    frames of a text without a traceback are empty, its type too, and its last line is the message.
    """
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    headers = [index for index, line in enumerate(lines) if _HEADER.match(line)]
    frames: list[tuple[str, str]] = []
    for inner in lines[headers[-1] + 1 :] if headers else []:
        line = _GROUP_MARGIN.sub("", inner)
        if found := _FRAME.match(line):
            frames.append((found["file"], found["function"]))
        elif not line.startswith((" ", "\t")) and (match := _TYPE.match(line)):
            # Further lines belong to the message.
            return match["type"], match["text"] or "", frames[-_TOP_FRAMES:]
    return "", lines[-1].strip() if lines else "", []


class ErrorStore:
    """The newest 100,000 error events, in groups."""

    def __init__(self, database: Database, changed: Callable[[str], None]) -> None:
        self._database = database
        self._changed = changed

    def put(self, event: ErrorEvent) -> str:
        """Store an event and return its group's id."""
        group_id, kind, message = group_of(event)
        body = {
            "time_ms": event.time_ms,
            "stack": event.stack,
            "service": event.service,
            "version": event.version,
            "user": event.user,
            "http": dict(event.http),
            "trace_id": event.trace_id,
            "location": dict(event.location),
        }
        with self._database.writing() as connection:
            connection.execute("INSERT OR IGNORE INTO error_groups VALUES (?,?,?)", (group_id, kind, plain(message)))
            connection.execute(
                "INSERT INTO error_events (group_id, time_ms, service, user, trace_id, body) VALUES (?,?,?,?,?,?)",
                (
                    group_id,
                    event.time_ms,
                    plain(event.service),
                    plain(event.user),
                    plain(event.trace_id),
                    text_of(body),
                ),
            )
        self._database.keep("error_events", _EVENTS_KEPT)
        self._changed("errors")
        return group_id

    def groups(self, *, service: str = "", since_ms: int = 0) -> list[dict[str, Any]]:
        """Return the groups in the UI's form, the most recent first.

        Args:
            service: only its events; all by default.
            since_ms: only events from then on count, in milliseconds since the epoch.
        """
        rows = self._database.rows(
            "SELECT g.id, g.type, g.message, MAX(e.service) AS service, COUNT(*) AS count, MIN(e.time_ms) AS first_ms, "
            "MAX(e.time_ms) AS last_ms, COUNT(DISTINCT NULLIF(e.user, '')) AS affected_users, "
            "MAX(e.trace_id) AS sample_trace_id "
            "FROM error_groups g JOIN error_events e ON e.group_id = g.id "
            "WHERE e.time_ms >= ? AND ? IN ('', e.service) GROUP BY g.id ORDER BY last_ms DESC",
            [since_ms, service],
        )
        return [dict(row) for row in rows]

    def within(
        self, start_ms: int, end_ms: int, *, services: Sequence[str] = (), versions: Sequence[str] = (), bins: int = 30
    ) -> list[dict[str, Any]]:
        """Return the groups that have events in a time, in the UI's form, the most frequent first.

        Args:
            start_ms: begin, inclusive, in milliseconds since the epoch.
            end_ms: end, inclusive.
            services: only events of these; of all when empty.
            versions: only events of these versions of a service; of all when empty.
            bins: into how many equal parts of the time the events of a group are counted, as ``counts``.
        """
        places = (("e.service", services), ("json_extract(e.body, '$.version')", versions))
        chosen = "".join(f" AND {field} IN ({','.join('?' * len(some))})" for field, some in places if some)
        rows = self._database.rows(
            "SELECT g.id, g.type, g.message, e.service, e.user, e.time_ms "  # noqa: S608 - placeholders alone
            "FROM error_events e JOIN error_groups g ON g.id = e.group_id "
            f"WHERE e.time_ms BETWEEN ? AND ?{chosen} ORDER BY e.time_ms",
            [start_ms, end_ms, *services, *versions],
        )
        events = defaultdict(list)
        for row in rows:
            events[row["id"]].append(row)
        width_ms = max(1.0, (end_ms - start_ms) / bins)
        found = [_summary(own, start_ms, width_ms, bins) for own in events.values()]
        return sorted(found, key=lambda group: (-group["count"], -group["last_ms"]))

    def group(self, group_id: str) -> dict[str, Any] | None:
        """Return one group, None when there is none of that id."""
        return next((group for group in self.groups() if group["id"] == group_id), None)

    def events(self, group_id: str, *, limit: int = 50) -> list[dict[str, Any]]:
        """Return the newest events of a group."""
        rows = self._database.rows(
            "SELECT body FROM error_events WHERE group_id = ? ORDER BY time_ms DESC, id DESC LIMIT ?", [group_id, limit]
        )
        return [load(row["body"]) for row in rows]

    def counts(self) -> dict[str, int]:
        """Return how many groups and events there are."""
        return {
            "error_groups": self._database.one("SELECT COUNT(*) FROM error_groups"),
            "error_events": self._database.one("SELECT COUNT(*) FROM error_events"),
        }


def _summary(rows: Sequence[Any], start_ms: int, width_ms: float, bins: int) -> dict[str, Any]:
    """One group of its events, the oldest first."""
    counts = [0] * bins
    for row in rows:
        counts[min(bins - 1, int((row["time_ms"] - start_ms) / width_ms))] += 1
    last = rows[-1]
    return {
        **{key: last[key] for key in ("id", "type", "message", "service")},
        "count": len(rows),
        "first_ms": rows[0]["time_ms"],
        "last_ms": last["time_ms"],
        "affected_users": len({row["user"] for row in rows if row["user"]}),
        "counts": counts,
    }
