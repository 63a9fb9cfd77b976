"""The folders of definitions, as several commands take them.

Annotations are read where a command is made, so they are evaluated here.
"""

from pathlib import Path
from typing import Annotated, Final

import typer

__all__ = ["FOLDERS", "Folders", "existing"]

FOLDERS: Final = ("alerts", "dashboards")
"""Where definitions are, when no folder is named."""

Folders = Annotated[
    list[Path] | None, typer.Argument(help=f"Folders of definitions; `{FOLDERS[0]}` and `{FOLDERS[1]}` by default.")
]


def existing() -> list[Path]:
    """Return those of `FOLDERS` that there are."""
    return [folder for folder in map(Path, FOLDERS) if folder.is_dir()]
