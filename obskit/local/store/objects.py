"""Objects of the APIs (alert policies, channels, dashboards, services and so on) as JSON by resource name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from obskit.local.store.database import Database, load, text_of

__all__ = ["ObjectStore", "collection_of"]


def collection_of(name: str) -> str:
    """Return the collection of a resource name: ``projects/P/COLLECTION/ID``, or deeper."""
    parts = name.split("/")
    return parts[-2] if len(parts) >= 4 else ""


class ObjectStore:
    """All objects, in the order in which they were made."""

    def __init__(self, database: Database, changed: Callable[[str], None]) -> None:
        self._database = database
        self._changed = changed

    def put(self, document: Mapping[str, Any]) -> None:
        """Store an object under its ``name``; it keeps its place when it is there already."""
        name = str(document["name"])
        with self._database.writing() as connection:
            connection.execute(
                "INSERT INTO objects VALUES (?, ?, (SELECT COALESCE(MAX(position), 0) + 1 FROM objects), ?) "
                "ON CONFLICT (name) DO UPDATE SET body = excluded.body",
                (name, collection_of(name), text_of(document)),
            )
        self._changed("objects")

    def get(self, name: str) -> dict[str, Any] | None:
        """Return an object, None when there is none of that name."""
        body = self._database.one("SELECT body FROM objects WHERE name = ?", [name])
        return None if body is None else dict(load(body))

    def list(self, collection: str, *, parent: str = "") -> Sequence[dict[str, Any]]:
        """Return the objects of a collection, oldest first, of one project or of all."""
        rows = self._database.rows("SELECT body FROM objects WHERE collection = ? ORDER BY position", [collection])
        found = [dict(load(row["body"])) for row in rows]
        return [item for item in found if not parent or item["name"].startswith(parent + "/")]

    def delete(self, name: str) -> bool:
        """Delete an object and return whether it was there."""
        with self._database.writing() as connection:
            count = connection.execute("DELETE FROM objects WHERE name = ?", [name]).rowcount
        if count:
            self._changed("objects")
        return count > 0
