from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from obskit.signals.libraries import LARGE, loaded_ahead
from obskit.signals.native import MODULE

pytestmark = pytest.mark.needs("native")

_LOADED = """
import sys
from obskit import _destinations
from obskit.config import Config
from obskit.signals import libraries
from obskit.signals.resource import OwnResource

class Module:
    def load_library(self, path):
        name = next(name for name in libraries.LARGE if name.rpartition(".")[2] in path)
        assert name not in sys.modules, name
        assert module.load_library(path), path
        print(name)
        return True

module, libraries.MODULE = libraries.MODULE, Module()
config = Config(exporters=("gcp",), local_endpoint="127.0.0.1:9", project="p")
(make,) = _destinations.destinations(config, {}).values()
make(OwnResource(config)())
assert libraries.LARGE <= sys.modules.keys(), libraries.LARGE - sys.modules.keys()
assert not [finder for finder in sys.meta_path if type(finder).__module__ == libraries.__name__]
"""


def test_the_libraries_of_googles_clients_are_loaded_before_their_import() -> None:
    """Each once, and they are all that are; nothing of it stays behind."""
    done = subprocess.run([sys.executable, "-c", _LOADED], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == sorted(LARGE.difference(sys.builtin_module_names))


@pytest.mark.timeout(20)
def test_other_threads_run_meanwhile(tmp_path: Path) -> None:
    """A library that cannot be read yet does not keep another thread from providing it."""
    assert MODULE is not None
    slow = tmp_path / "slow.so"
    os.mkfifo(slow)
    # It waits for the reader, and then for its turn. A daemon, as it waits for ever if there is none.
    writer = threading.Thread(target=slow.write_bytes, args=(b"no library",), daemon=True)
    writer.start()
    assert MODULE.load_library(str(slow)) is False
    writer.join(10)
    assert not writer.is_alive()


def test_what_is_no_library_is_told(tmp_path: Path) -> None:
    """It is the import that fails then, and that says why."""
    assert MODULE is not None
    text = tmp_path / "text.so"
    text.write_text("no library")
    assert MODULE.load_library(str(text)) is False
    assert MODULE.load_library(str(tmp_path / "missing.so")) is False
    for wrong in (3, "nul\0inside"):
        with pytest.raises((TypeError, ValueError)):
            MODULE.load_library(wrong)


def test_the_imports_of_another_thread_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """That one may fork in the middle of them."""
    asked: list[str] = []
    monkeypatch.setattr(
        "obskit.signals.libraries.MODULE", type("M", (), {"load_library": lambda _, path: asked.append(path)})()
    )
    with loaded_ahead():
        finder = sys.meta_path[0]
        thread = threading.Thread(target=finder.find_spec, args=("_ssl",))
        thread.start()
        thread.join()
        assert asked == []
        assert finder.find_spec("_ssl") is None
        assert finder.find_spec("_json") is None
    spec = importlib.util.find_spec("_ssl")
    assert spec is not None
    assert asked == [spec.origin]
    assert finder not in sys.meta_path
