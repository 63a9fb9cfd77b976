"""What every kind of object that sync can make keeps to, here and in `obskit.alerts`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

from obskit.errors import Problem
from obskit.queries.context import RenderContext

__all__ = ["Named", "Owned", "Resource"]


@runtime_checkable
class Resource(Protocol):
    """A definition of one object of the platform.

    Attributes:
        noun: the kind's name in messages.
        collection: the collection in resource names.
        labels_field: where the API keeps users' labels; empty where it has none for this kind, so that an owner must be
            told by the name.
        id: the definition's id, unique in its kind.
        display_name: what the console shows; the id where it is empty.
        source: ``path:line`` where it was made.
    """

    noun: ClassVar[str]
    collection: ClassVar[str]
    labels_field: ClassVar[str]

    @property
    def source(self) -> str:
        """``path:line`` where it was made."""

    @property
    def id(self) -> str:
        """The definition's id, unique in its kind."""

    @property
    def display_name(self) -> str:
        """What the console shows; the id where it is empty."""

    def is_left_out(self, stack: str) -> bool:
        """Return whether the whole definition was given with `per_stack`, as None for this stack."""

    @property
    def place(self) -> str:
        """Where it is, for a `Problem`: ``alerts/latency.py:12: policy "p95-high"``."""

    def is_for(self, stack: str) -> bool:
        """Return whether it can be rendered for a stack."""

    def for_stack(self, stack: str) -> Self:
        """Return the definition as it is in a stack."""

    def problems(self, context: RenderContext) -> list[Problem]:
        """Return every rule of the platform that it breaks: all at once, each with place, problem and way out."""

    def to_dict(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form, without what the server writes; a pure function of the definition and the context."""

    @classmethod
    def from_json(cls, document: Mapping[str, Any], *, id: str = "") -> Self:  # noqa: A002 - the field's name
        """Return the definition of an object of the REST API; fields that it does not know are in its ``carried``."""


@runtime_checkable
class Named(Protocol):
    """A resource whose name its definition chooses, so that it can be looked up without a label."""

    def resource_name(self, context: RenderContext) -> str:
        """Return the name under which the object is, or will be, kept."""


@runtime_checkable
class Owned(Protocol):
    """A resource that is not in a project's own collection."""

    def parent(self, context: RenderContext) -> str:
        """Return the resource name of what it belongs to."""
