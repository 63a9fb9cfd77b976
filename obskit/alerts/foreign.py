"""Conditions that obskit does not write itself: carried as the JSON that they were read as."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

from obskit.alerts.conditions import Condition
from obskit.queries.carried import as_json_fields, merged
from obskit.queries.context import RenderContext
from obskit.queries.definitions import as_text, definition, given
from obskit.queries.reading import read_text

__all__ = ["CarriedCondition"]

_FIELDS = frozenset({"displayName", "name"})


@definition
class CarriedCondition(Condition):
    """A condition of a kind that is carried only, as one in Monitoring Query Language, or of a kind of tomorrow.

    The platform takes no new condition in MQL since July 2025; those that exist go on.

    Attributes:
        carried: the condition's JSON, e.g. ``{"conditionMonitoringQueryLanguage": {"query": …, "duration": …}}``.
        display_name: shown in incidents; the policy's name when empty.
    """

    json_field: ClassVar[str] = "conditionMonitoringQueryLanguage"

    carried: Mapping[str, Any] = given(as_json_fields, placeholder={})
    display_name: str = given(as_text, default="")

    @property
    def is_mql(self) -> bool:
        """Whether it is one in Monitoring Query Language."""
        return self.json_field in self.carried

    def to_dict(self, context: RenderContext, default_name: str) -> dict[str, Any]:  # noqa: ARG002 - the same everywhere
        """Return the REST form."""
        return merged({"displayName": self.display_name or default_name}, self.carried)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return the condition that an object of the REST API is."""
        rest = {key: value for key, value in document.items() if key not in _FIELDS}
        name = read_text(document, "displayName")
        return cls(carried=rest if name else {**rest, "displayName": None}, display_name=name)

    def rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:  # noqa: ARG002 - the same everywhere
        """Return what breaks the platform's rules."""
        if not any(key.startswith("condition") for key in self.carried):
            yield (
                "the carried condition holds no condition of the REST API",
                'Give carried={"conditionMonitoringQueryLanguage": {…}}',
            )
