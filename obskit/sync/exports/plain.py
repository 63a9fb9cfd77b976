"""Definitions as the JSON that Google's APIs take."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from obskit.sync.exports.items import Export, Item, Loss, filled
from obskit.sync.references import unresolved

__all__ = ["as_json"]


def as_json(items: Sequence[Item]) -> Export:
    """Return a file for each object: ``alertPolicies/ID.json``.

    A secret stands as ``${NAME}``; what refers to an object that has no name yet says so.
    """
    files: dict[str, str] = {}
    losses: list[Loss] = []
    for item in items:
        document = filled(item.document, lambda name: "${" + name + "}")
        losses += [item.loss(f"${{{name}}} stands where a secret goes") for name in item.variables]
        losses += [
            item.loss(f"{name} has to be replaced by the object's name once it exists") for name in _open(document)
        ]
        collection = getattr(item.definition, "collection", "dashboards")
        files[_free(f"{collection}/{item.definition.id}", files)] = (
            json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        )
    return Export(files=files, losses=tuple(losses))


def _open(document: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(unresolved(document)))


def _free(stem: str, files: Mapping[str, str]) -> str:
    # SLOs of two services may have one id.
    names = (f"{stem}{'' if number == 1 else f'-{number}'}.json" for number in range(1, 10_000))
    return next(name for name in names if name not in files)
