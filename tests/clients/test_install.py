"""Libraries are patched when the app imports them, and obskit imports none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_install_imports_nothing() -> None:
    """Installing loads none of the libraries, and a library that is imported later is patched then."""
    code = """
import sys
import obskit.clients
from obskit.config import Config
obskit.clients.install(Config())
print([name for name in ("httpx", "httpx2", "requests", "aiohttp", "grpc") if name in sys.modules])
import requests
print(hasattr(requests.adapters.HTTPAdapter.send, "_obskit_original"))
print(type(requests.__spec__.loader).__name__, requests.__loader__ is requests.__spec__.loader)
obskit.clients.uninstall()
print(hasattr(requests.adapters.HTTPAdapter.send, "_obskit_original"))
"""
    assert run(code).splitlines() == ["[]", "True", "SourceFileLoader True", "False"]


def test_what_is_imported_already_is_patched_at_once() -> None:
    """A library that the app imported first is patched by install."""
    code = """
import httpx
import obskit.clients
from obskit.config import Config
obskit.clients.install(Config())
print(hasattr(httpx.HTTPTransport.handle_request, "_obskit_original"))
"""
    assert run(code) == "True"


def test_a_failing_import_fails_as_ever(tmp_path: Path) -> None:
    """A library that is not installed, or breaks at import, raises what it would without obskit."""
    (tmp_path / "httpx.py").write_text("raise RuntimeError('broken')")
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import obskit.clients
from obskit.config import Config
obskit.clients.install(Config())
try:
    import httpx
except RuntimeError as error:
    print(error)
print("httpx" in sys.modules)
"""
    assert run(code).splitlines() == ["broken", "False"]


def test_a_library_of_another_shape_is_left_alone(tmp_path: Path) -> None:
    """A module of that name without the known classes imports well, and one warning says it is not followed."""
    (tmp_path / "httpx.py").write_text("x = 1")
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import obskit.clients
from obskit.config import Config
obskit.clients.install(Config())
import httpx
print(httpx.x)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "1"
    assert "obskit cannot follow calls through httpx" in done.stderr
