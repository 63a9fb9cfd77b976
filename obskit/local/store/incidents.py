"""Incidents and the notifications about them, as the UI shows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from obskit.local.store.database import Database, load, text_of

__all__ = ["IncidentStore", "NotificationStore"]


class IncidentStore:
    """All incidents."""

    def __init__(self, database: Database, changed: Callable[[str], None]) -> None:
        self._database = database
        self._changed = changed

    def put(self, row: Mapping[str, Any]) -> None:
        """Store an incident, or what has become of it; it must have id, state and started_at_ms."""
        values = (row["id"], row["state"], row["started_at_ms"], text_of(row))
        self._database.write("INSERT OR REPLACE INTO incidents VALUES (?,?,?,?)", [values])
        self._changed("incidents")

    def get(self, incident_id: str) -> dict[str, Any] | None:
        """Return an incident, None when there is none of that id."""
        body = self._database.one("SELECT body FROM incidents WHERE id = ?", [incident_id])
        return None if body is None else dict(load(body))

    def list(self, *, state: str = "") -> Sequence[dict[str, Any]]:
        """Return incidents, open ones first and then the newest first; of one state, or of both."""
        rows = self._database.rows(
            "SELECT body FROM incidents WHERE ? IN ('', state) ORDER BY state = 'open' DESC, started_at_ms DESC",
            [state],
        )
        return [dict(load(row["body"])) for row in rows]


class NotificationStore:
    """All notifications: the inbox."""

    def __init__(self, database: Database, changed: Callable[[str], None]) -> None:
        self._database = database
        self._changed = changed

    def put(self, row: Mapping[str, Any]) -> None:
        """Store a notification, or how its delivery went; it must have id, incident_id and sent_at_ms."""
        values = (row["id"], row["incident_id"], row["sent_at_ms"], text_of(row))
        self._database.write("INSERT OR REPLACE INTO notifications VALUES (?,?,?,?)", [values])
        self._changed("notifications")

    def list(self, *, incident_id: str = "", limit: int = 1000) -> Sequence[dict[str, Any]]:
        """Return notifications, newest first; of one incident, or of all."""
        rows = self._database.rows(
            "SELECT body FROM notifications WHERE ? IN ('', incident_id) ORDER BY sent_at_ms DESC, rowid DESC LIMIT ?",
            [incident_id, limit],
        )
        return [dict(load(row["body"])) for row in rows]
