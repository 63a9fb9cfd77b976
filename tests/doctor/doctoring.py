"""What the tests of the doctor share: an app, what a run has printed, and Google's servers on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

FASTAPI_APP = """\
import obskit
from fastapi import FastAPI

app = FastAPI()
obskit.instrument(app, service_name="shop")
"""


class Found:
    """What one run has printed."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def document(self) -> dict[str, Any]:
        return json.loads(self.out)

    def of(self, kind: str, name: str = "") -> list[dict[str, str]]:
        """Return the findings of a kind, or of a kind and name."""
        return [f for f in self.document["findings"] if f["kind"] == kind and (not name or f["name"] == name)]

    def one(self, kind: str, name: str) -> dict[str, str]:
        (found,) = self.of(kind, name)
        return found

    @property
    def bad(self) -> list[str]:
        """Kind and name of the problems."""
        return [f"{f['kind']}: {f['name']}" for f in self.document["findings"] if f["state"] == "problem"]


def clean_environment(home: Path, **environ: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "NO_COLOR": "1", **environ}


class GooglePlace:
    """A metadata server, and the two APIs that the doctor asks, on one port of loopback.

    Attributes:
        answers: path → JSON document, text, or (status, document).
        dates: the Date header of every answer, empty for the real one.
        asked: paths of every request, in order.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {
            "/": "",
            "/computeMetadata/v1/project/project-id": "fake-project",
            "/computeMetadata/v1/instance/service-accounts/default/email": "run@fake-project.iam.gserviceaccount.com",
            "/computeMetadata/v1/instance/service-accounts/default/scopes": "https://www.googleapis.com/auth/cloud-platform",
            "/computeMetadata/v1/instance/service-accounts/default/": {
                "email": "run@fake-project.iam.gserviceaccount.com",
                "scopes": ["https://www.googleapis.com/auth/cloud-platform"],
            },
            "/computeMetadata/v1/instance/service-accounts/default/token": {
                "access_token": "ya29.secret-token-of-the-test",
                "expires_in": 3600,
                "token_type": "Bearer",
            },
            "/computeMetadata/v1/instance/region": "projects/1/regions/europe-west1",
            "/computeMetadata/v1/universe/universe-domain": "googleapis.com",
        }
        self.date = ""
        self.asked: list[str] = []
        self.bodies: list[bytes] = []
        place = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                place.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
                path = self.path.partition("?")[0]
                place.asked.append(path)
                answer = place.answers.get(path, (404, {"error": {"message": f"no {path}"}}))
                status, document = answer if isinstance(answer, tuple) else (200, answer)
                body = (document if isinstance(document, str) else json.dumps(document)).encode()
                self.send_response_only(status)
                self.send_header("Date", place.date or self.date_time_string())
                self.send_header("Metadata-Flavor", "Google")
                self.send_header("Content-Type", "text/plain" if isinstance(document, str) else "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = _serve

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which a process finds it."""
        return {
            "GCE_METADATA_HOST": self.host,
            "GCE_METADATA_IP": self.host,
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDRESOURCEMANAGER": f"http://{self.host}/",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_RUN": f"http://{self.host}/",
        }

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
