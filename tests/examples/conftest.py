from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from werkzeug.serving import make_server

from obskit.demo.fake_gemini import FakeGemini
from obskit.llm.guard import unguard_gemini
from obskit.testing import Captured, capture

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def gemini() -> Iterator[FakeGemini]:
    with FakeGemini() as server:
        yield server


@pytest.fixture(scope="module")
def shop() -> ModuleType:
    return load("example_shop", EXAMPLES / "flask_app" / "main.py")


@pytest.fixture(scope="module")
def shop_url(shop: ModuleType) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, shop.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def chatbot(gemini: FakeGemini, shop_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The chatbot as it begins: nobody has used any budget, no circuit is open."""
    from fastapi.testclient import TestClient

    monkeypatch.setenv("GEMINI_API_KEY", "none")
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", gemini.url)
    monkeypatch.setenv("SHOP_URL", shop_url)
    module = load("example_chatbot", EXAMPLES / "fastapi_app" / "main.py")
    try:
        with TestClient(module.app, raise_server_exceptions=False) as client:
            yield client
            client.portal.call(module.gemini.aio.aclose)
            client.portal.call(module.shop.aclose)
    finally:
        module.gemini.close()
        unguard_gemini()
        module.budgets.unfollow_calls()
        module.health.stop()


@pytest.fixture
def seen(shop: ModuleType) -> Iterator[Captured]:
    with capture() as captured:
        yield captured
