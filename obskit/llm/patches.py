"""What obskit has put in the place of an SDK's functions, and what it has not found there."""

from __future__ import annotations

import logging
from typing import Any, Final

from obskit.errors import Problem

__all__ = ["MARK", "Patches"]

_log = logging.getLogger("obskit")

MARK: Final = "_obskit_original"
"""The attribute of a replacement that holds what it has replaced."""


class Patches:
    """The replacements in one SDK.

    Args:
        package: the SDK's name on the index.
    """

    def __init__(self, package: str) -> None:
        self._package, self._version = package, ""
        self._replaced: list[tuple[Any, str, Any, Any]] = []
        self._problems: list[Problem] = []

    def found(self, version: object) -> None:
        """Take the SDK's version, for what there is to tell."""
        self._version = str(version or "of unknown version")

    def replace(self, owner: Any, name: str, replacement: Any) -> None:
        """Put a function in the place of `owner.name`, once."""
        original = getattr(owner, name)
        if hasattr(original, MARK):
            return
        setattr(replacement, MARK, original)
        replacement.__name__, replacement.__qualname__ = original.__name__, original.__qualname__
        replacement.__doc__ = original.__doc__
        setattr(owner, name, replacement)
        self._replaced.append((owner, name, original, replacement))

    def keep_whole(self, owner: Any, name: str) -> None:
        """Keep an SDK's function from returning a module that is half imported.

        It takes the module straight from `sys.modules` where anybody has imported it, and obskit imports Google's
        clients and the price list on threads of its own, and HTTP libraries with them, while the app's calls go on.

        Args:
            owner: what has the function; None, or one without it, is left alone.
            name: of the function, which returns None where the module is not there.
        """
        original = getattr(owner, name, None)
        if original is None:
            return

        def loaded() -> Any:
            module = original()
            is_half = getattr(getattr(module, "__spec__", None), "_initializing", False)
            return None if is_half else module

        self.replace(owner, name, loaded)

    def tell(self, problem: str) -> None:
        """Say once what of the SDK cannot be recorded."""
        found = Problem(
            place=f"{self._package} {self._version}",
            problem=problem,
            way_out="Update obskit, or record these calls with obskit.record_usage()",
        )
        if found not in self._problems:
            self._problems.append(found)
            _log.warning("%s", found)

    def undo(self) -> None:
        """Put everything back that nobody else has replaced since."""
        self._problems.clear()
        while self._replaced:
            owner, name, original, replacement = self._replaced.pop()
            if getattr(owner, name, None) is replacement:
                setattr(owner, name, original)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What of the SDK cannot be recorded, or only in part."""
        return tuple(self._problems)
