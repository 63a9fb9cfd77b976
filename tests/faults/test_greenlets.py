"""gevent's workers: nothing that takes its time on the way to Google holds up the greenlets that serve requests."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from google_twin import GoogleTwin
from wire import Service, environment, eventually, gunicorn

# The module waits, in a way that gevent knows nothing of, for what a greenlet writes.
SLOW_MODULE = "import os\nos.read(int(os.environ['PIPE']), 1)\nvalue = 1\n"
SLOW_IMPORT = """
from gevent import monkey
monkey.patch_all()
import os, threading
out, into = os.pipe()
os.environ["PIPE"] = str(out)
from obskit.signals.imports import import_aside
imported = []
def load():
    imported.append(import_aside("slow_module").value)
thread = threading.Thread(target=load)
thread.start()
threading.Thread(target=os.write, args=(into, b"1")).start()
thread.join()
assert imported == [1]
assert import_aside("json").loads("[1]") == [1]
try:
    import_aside("no_such_module")
except ModuleNotFoundError as error:
    assert error.name == "no_such_module"
    print("as imported")
"""
REQUESTS = 10


@pytest.mark.fault(6, "greenlets go on while an export waits for Google and while its clients are imported")
@pytest.mark.parametrize("options", [(), ("--preload",)], ids=["loaded", "preloaded"])
def test_requests_are_served_while_google_keeps_an_export_waiting(options: tuple[str, ...]) -> None:
    """The first call of Google is answered only after further requests have been: all are served, and arrive."""
    served, waited = threading.Event(), list[bool]()

    def rule(method: str, request: Any) -> None:
        if method == "BatchWriteSpans" and not waited:
            waited.append(False)
            waited[0] = served.wait(9.0)  # less than the patience of a call

    with GoogleTwin() as google:
        google.rule = rule
        env = environment(OBSKIT_EXPORTERS="gcp", OBSKIT_LOCAL_ENDPOINT=google.address, GOOGLE_CLOUD_PROJECT="p1")
        with Service(gunicorn("living:wsgi", "gevent", *options), env) as service:
            assert service.request("/items/0")[0] == 200
            assert eventually(lambda: waited, 30.0), service.printed
            assert [service.request(f"/items/{number}")[0] for number in range(REQUESTS)] == [200] * REQUESTS
            served.set()
            assert eventually(lambda: len(google.spans) == REQUESTS + 1), service.printed
            service.process.send_signal(signal.SIGTERM)
            assert service.process.wait(20) == 0
            assert "did not deliver" not in service.printed
    assert waited == [True]


@pytest.mark.fault(6, "an import that takes long runs beside the greenlets, and fails as any other")
def test_greenlets_run_while_a_module_is_imported(tmp_path: Path) -> None:
    """A module that can only be imported when a greenlet runs meanwhile is imported; one that is missing raises."""
    (tmp_path / "slow_module.py").write_text(SLOW_MODULE)
    done = subprocess.run(
        [sys.executable, "-c", SLOW_IMPORT],
        env=environment(PYTHONPATH=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "as imported\n", done.stderr
