"""Where objects live: the protocol that planning and applying are written against, and its in-memory twin."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from obskit.sync.kinds import DESCRIPTOR, LOG_METRIC, Kind

__all__ = ["Backend", "BackendFailure", "MemoryBackend"]


class BackendFailure(Exception):
    """A call was refused.

    Attributes:
        code: the gRPC status name, e.g. ``UNAVAILABLE``.
        message: what the backend said.
        retry_after_s: how long it asks to wait, where it does.
    """

    def __init__(self, code: str, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s


class Backend(Protocol):
    """The objects of one project. Documents are the REST API's JSON, each with its whole resource name as ``name``.

    Every method raises `BackendFailure` when the call is refused.
    """

    project: str

    def list(self, kind: Kind, parents: Sequence[str] = ()) -> Sequence[Mapping[str, Any]]:
        """Return all objects of a kind, in the project or where `parents` says."""

    def get(self, kind: Kind, name: str) -> Mapping[str, Any]:
        """Return one object."""

    def create(self, kind: Kind, document: Mapping[str, Any], *, parent: str = "", name: str = "") -> Mapping[str, Any]:
        """Create an object and return it.

        Args:
            kind: of the object.
            document: what it says.
            parent: what it belongs to; the project when empty.
            name: the resource name that it gets, where its definition chooses it.
        """

    def update(self, kind: Kind, name: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Replace what a definition says of an object; `document` may carry the ``etag`` to hold it to."""

    def delete(self, kind: Kind, name: str) -> None:
        """Delete an object; a snooze, which cannot be deleted, is ended."""

    def granted(self, resource: str, permissions: Sequence[str]) -> frozenset[str]:
        """Return those of some permissions that the caller has on a project or a billing account."""


class MemoryBackend:
    """A project in memory, which counts its writes."""

    def __init__(self, project: str = "test-project") -> None:
        self.project = project
        self.objects: dict[str, dict[str, Any]] = {}
        self.writes: list[tuple[str, str]] = []
        self.denied: set[str] = set()
        self._next = 1

    def list(self, kind: Kind, parents: Sequence[str] = ()) -> Sequence[Mapping[str, Any]]:
        """Return all objects of a kind."""
        del parents
        middle = f"/{kind.collection}/"
        found = ((name, each) for name, each in self.objects.items() if middle in name)
        # A metric's name may have slashes of its own; beyond another kind's name there is what belongs to it.
        is_whole = kind in {DESCRIPTOR, LOG_METRIC}
        return [copy.deepcopy(each) for name, each in found if is_whole or "/" not in name.partition(middle)[2]]

    def get(self, kind: Kind, name: str) -> Mapping[str, Any]:
        """Return one object."""
        del kind
        if name not in self.objects:
            raise BackendFailure("NOT_FOUND", f"{name} does not exist")
        return copy.deepcopy(self.objects[name])

    def create(self, kind: Kind, document: Mapping[str, Any], *, parent: str = "", name: str = "") -> Mapping[str, Any]:
        """Create an object under its name or the next number."""
        name = name or f"{parent or f'projects/{self.project}'}/{kind.collection}/{self._next}"
        if name in self.objects:
            raise BackendFailure("ALREADY_EXISTS", f"{name} exists already")
        self._next += 1
        self.objects[name] = {**copy.deepcopy(dict(document)), "name": name}
        self.writes.append(("create", name))
        return copy.deepcopy(self.objects[name])

    def update(self, kind: Kind, name: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Replace an object."""
        self.get(kind, name)
        self.objects[name] = {**copy.deepcopy(dict(document)), "name": name}
        self.writes.append(("update", name))
        return copy.deepcopy(self.objects[name])

    def delete(self, kind: Kind, name: str) -> None:
        """Delete an object."""
        self.get(kind, name)
        del self.objects[name]
        self.writes.append(("delete", name))

    def granted(self, resource: str, permissions: Sequence[str]) -> frozenset[str]:
        """Return all but those that are denied."""
        del resource
        return frozenset(permissions) - self.denied
