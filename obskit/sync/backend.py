"""Where objects live: the protocol that planning and applying are written against, and its in-memory twin."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from obskit.sync.kinds import Kind

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
    """The objects of one project. Documents are the REST API's JSON.

    Every method raises `BackendFailure` when the call is refused.
    """

    project: str

    def list(self, kind: Kind) -> Sequence[Mapping[str, Any]]:
        """Return all objects of a kind, each with its resource ``name``."""

    def create(self, kind: Kind, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Create an object and return it with its ``name``."""

    def update(self, kind: Kind, name: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Replace what a definition says of an object; `document` may carry the ``etag`` to hold it to."""

    def delete(self, kind: Kind, name: str) -> None:
        """Delete an object."""


class MemoryBackend:
    """A project in memory, which counts its writes."""

    def __init__(self, project: str = "test-project") -> None:
        self.project = project
        self.objects: dict[str, dict[str, Any]] = {}
        self.writes: list[tuple[str, str]] = []
        self._next = 1

    def list(self, kind: Kind) -> Sequence[Mapping[str, Any]]:
        """Return all objects of a kind."""
        prefix = f"projects/{self.project}/{kind.collection}/"
        return [copy.deepcopy(found) for name, found in self.objects.items() if name.startswith(prefix)]

    def create(self, kind: Kind, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Create an object under the next number."""
        name = f"projects/{self.project}/{kind.collection}/{self._next}"
        self._next += 1
        self.objects[name] = {**copy.deepcopy(dict(document)), "name": name}
        self.writes.append(("create", name))
        return copy.deepcopy(self.objects[name])

    def update(self, kind: Kind, name: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Replace an object."""
        del kind
        if name not in self.objects:
            raise BackendFailure("NOT_FOUND", f"{name} does not exist")
        self.objects[name] = {**copy.deepcopy(dict(document)), "name": name}
        self.writes.append(("update", name))
        return copy.deepcopy(self.objects[name])

    def delete(self, kind: Kind, name: str) -> None:
        """Delete an object."""
        del kind
        if self.objects.pop(name, None) is None:
            raise BackendFailure("NOT_FOUND", f"{name} does not exist")
        self.writes.append(("delete", name))
