"""For the tests of apps that use obskit, and for the tests of alerts.

What did the code under test record?

    from obskit.testing import capture

    def test_checkout(client):
        with capture() as seen:
            client.post("/checkout")
        assert seen.span("POST /checkout").attributes["http.response.status_code"] == 200
        assert seen.total("http.server.request.duration", **{"http.route": "/checkout"}) == 1
        assert seen.errors == ()

When does an alert fire, and whom does it tell?

    from obskit.testing import AlertTest

    outage = AlertTest(provider_down(), "a provider fails for ten minutes").metric(…).is_open("6m", until="16m")

Under pytest an instrumented app exports to memory by itself. The fixture `obskit_capture` is the same as
the context manager, and alert tests at the top level of a test module are tests of their own;
put ``pytest_plugins = ["obskit.testing"]`` into the top ``conftest.py`` to have both.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from obskit.testing.alerts import AlertTest
    from obskit.testing.capturing import Captured, Point, capture
    from obskit.testing.clocks import FixedClock
    from obskit.testing.ids import SequentialIds
    from obskit.testing.packs import pack_tests

__all__ = ["AlertTest", "Captured", "FixedClock", "Point", "SequentialIds", "capture", "pack_tests"]

# Each name loads only its own module: a test of an alert needs no OpenTelemetry, and a test of an app no engine.
_HOMES: Final = {
    "AlertTest": "obskit.testing.alerts",
    "Captured": "obskit.testing.capturing",
    "FixedClock": "obskit.testing.clocks",
    "Point": "obskit.testing.capturing",
    "SequentialIds": "obskit.testing.ids",
    "capture": "obskit.testing.capturing",
    "obskit_capture": "obskit.testing.fixtures",
    "pack_tests": "obskit.testing.packs",
}


def __getattr__(name: str) -> Any:
    """Load a name's module when the name is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def pytest_pycollect_makeitem(collector: Any, name: str, obj: object) -> Any:
    """Tell pytest of the alert tests of a module; everything else is left to it."""
    # A module that has alert tests has imported their class; for others nothing is loaded.
    if "obskit.testing.alerts" not in sys.modules:
        return None
    return import_module("obskit.testing.plugin").collected(collector, name, obj)


def __dir__() -> list[str]:
    """Return the names, for editors and for pytest."""
    return [*globals(), *_HOMES]
