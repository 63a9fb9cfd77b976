"""Which framework's app an object is, by name: nothing of a framework is imported to find out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["installer_of"]

_INSTALLERS: Final[Mapping[tuple[str, str], str]] = {
    ("fastapi", "FastAPI"): "obskit.middleware.fastapi:install",
    ("starlette", "Starlette"): "obskit.middleware.starlette:install",
    ("flask", "Flask"): "obskit.middleware.flask:install",
}


def installer_of(app: Any) -> str | None:
    """Return what installs obskit in an app of that kind, None where it is not one of the frameworks'."""
    paths = (_INSTALLERS.get((kind.__module__.partition(".")[0], kind.__name__)) for kind in type(app).__mro__)
    return next((path for path in paths if path is not None), None)
