"""Files of definitions, written only where nothing stands yet."""

from __future__ import annotations

from collections.abc import Sequence

from obskit.errors import DefinitionError, Problem
from obskit.sync.imports.arranging import Module

__all__ = ["write"]


def write(modules: Sequence[Module], *, overwrite: bool = False) -> None:
    """Write the files of some modules; none of them, if one of them may not be written.

    Args:
        modules: what to write.
        overwrite: whether files that exist are replaced.

    Raises:
        DefinitionError: some exist and say something else; all of them are told.
    """
    changed = [
        each for each in modules if not each.path.is_file() or each.path.read_text(encoding="utf-8") != each.text
    ]
    standing = [each.path for each in changed if each.path.exists()]
    if standing and not overwrite:
        raise DefinitionError(
            Problem(
                place=str(path),
                problem="exists already, and nothing was written",
                way_out="Add --overwrite to replace it, or import into other folders (--alerts, --dashboards)",
            )
            for path in standing
        )
    for each in changed:
        each.path.parent.mkdir(parents=True, exist_ok=True)
        each.path.write_text(each.text, encoding="utf-8")
