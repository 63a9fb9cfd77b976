"""The variables in a policy's documentation, checked by name.

Source: "Annotate notifications with user-defined documentation", Using variables. What that page does not name but
Google's own sample policies use is taken too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from obskit.errors import nearest

__all__ = ["template_rules", "variables_of"]

_VARIABLE: Final = re.compile(r"\$\{([^{}]*)\}")
_NAMES: Final = frozenset(
    {
        "condition.name",
        "condition.display_name",
        "metric.type",
        "metric.display_name",
        "policy.name",
        "policy.display_name",
        "project",
        "resource.name",
        "resource.project",
        "resource.type",
    }
)
_TABLES: Final = (
    "log.extracted_label",
    "metadata.system_label",
    "metadata.user_label",
    "metric.label",
    "metric_or_resource.label",
    "policy.user_label",
    "resource.label",
)
_SIMILAR: Final = {"labels": "label", "user_labels": "user_label", "system_labels": "system_label"}


def variables_of(text: str) -> tuple[str, ...]:
    """Return the names of the variables in a text, each once."""
    return tuple(dict.fromkeys(_VARIABLE.findall(text)))


def template_rules(text: str, keys: Mapping[str, frozenset[str]]) -> Iterator[tuple[str, str]]:
    """Return what is wrong with the variables in a text.

    Args:
        text: a documentation's content, its subject, or a link's address.
        keys: table → the keys that it has, e.g. ``log.extracted_label`` → the condition's extractors. A table that
            is not named may have any.
    """
    for name in variables_of(text):
        table, _, key = name.rpartition(".")
        if name in _NAMES:
            continue
        if table not in _TABLES or not key:
            guess = _guess(name)
            hint = f"Did you mean ${{{guess}}}" if guess else f"There are {', '.join(sorted(_NAMES))} and TABLE.KEY"
            if name == name.upper():
                hint = "Replace it by its value in the text; Cloud Monitoring fills in only its own variables"
            yield f"there is no variable ${{{name}}}", hint
        elif key != "*" and table in keys and key not in keys[table]:
            guess = nearest(key, keys[table])
            have = ", ".join(sorted(keys[table])) or "none"
            hint = f"Did you mean ${{{table}.{guess}}}" if guess else f"There are: {have}"
            yield f'${{{name}}}: there is no {table} "{key}"', hint


def _guess(name: str) -> str | None:
    parts = [_SIMILAR.get(part, part) for part in name.split(".")]
    table, _, key = ".".join(parts).rpartition(".")
    if table in _TABLES:
        return f"{table}.{key}"
    similar = nearest(table, _TABLES) if "." in table else None
    return f"{similar}.{key}" if similar else nearest(name, _NAMES)
