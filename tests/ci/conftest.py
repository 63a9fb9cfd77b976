"""Forges on loopback, jobs' steps run as they are, and a local backend."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from obskit.local.serve import LocalBackend

ROOT = Path(__file__).resolve().parents[2]


class Forge:
    """GitHub's and GitLab's comments, over HTTP: pages, tokens, refusals."""

    def __init__(self) -> None:
        self.comments: list[dict] = []
        self.calls: list[tuple[str, str]] = []
        self.token = "t0k3n"
        self.refuses = 0
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *arguments):
                pass

            def answer(self, status, document):
                text = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def serve(self):
                size = int(self.headers.get("content-length") or 0)
                body = json.loads(self.rfile.read(size)) if size else {}
                url = urlsplit(self.path)
                owner.calls.append((self.command, url.path))
                given = self.headers.get("authorization") or f"Bearer {self.headers.get('private-token')}"
                if given != f"Bearer {owner.token}":
                    return self.answer(401, {"message": "Bad credentials"})
                if owner.refuses:
                    return self.answer(owner.refuses, {"message": "refused"})
                if self.command == "GET":
                    asked = parse_qs(url.query)
                    size, page = int(asked["per_page"][0]), int(asked["page"][0])
                    return self.answer(200, owner.comments[size * (page - 1) : size * page])
                if self.command == "POST":
                    made = {
                        "id": len(owner.comments) + 1,
                        "body": body["body"],
                        "html_url": f"{url.path}#{len(owner.comments) + 1}",
                    }
                    owner.comments.append(made)
                    return self.answer(201, made)
                number = int(url.path.rpartition("/")[2])
                found = next(each for each in owner.comments if each["id"] == number)
                found["body"] = body["body"]
                return self.answer(200, found)

            do_GET = do_POST = do_PATCH = do_PUT = serve

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join(10)
        self.server.server_close()


@pytest.fixture
def forge():
    made = Forge()
    yield made
    made.close()


@pytest.fixture(scope="session")
def ci_backend():
    with LocalBackend(project="shop", http_port=0, grpc_port=0) as backend:
        yield backend


@pytest.fixture
def shop(ci_backend, tmp_path):
    """A repository with one channel and one policy, against an empty project."""
    with ci_backend.store._database.writing() as connection:
        connection.execute("DELETE FROM objects")
    (tmp_path / "alerts").mkdir()
    (tmp_path / "alerts" / "all.py").write_text(
        "from obskit.alerts import email, latency_p95\n"
        'mail = email("mail", address="a@example.com")\n'
        "slow = latency_p95(channels=[mail])\n"
    )
    return tmp_path


class Job:
    """Runs the steps of a job with bash, as a runner does."""

    def __init__(self, folder: Path, backend: LocalBackend) -> None:
        self.folder, self.backend = folder, backend
        self.temp = folder / "runner"
        self.temp.mkdir(exist_ok=True)
        bin_folder = folder / "bin"
        bin_folder.mkdir(exist_ok=True)
        # What `pip install obskit` would put there.
        for name, module in (("obskit", "-m obskit.cli"), ("python", "")):
            (bin_folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {module} "$@"\n')
            (bin_folder / name).chmod(0o755)
        self.environ = {
            "PATH": f"{bin_folder}:{os.environ['PATH']}",
            "HOME": str(folder),
            "RUNNER_TEMP": str(self.temp),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def bash(self, script: str, environ: dict[str, str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        path = self.temp / "step.sh"
        path.write_text(script)
        checked = subprocess.run(["bash", "-n", path], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr
        # As GitHub runs `shell: bash`.
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", path],
            capture_output=True,
            text=True,
            check=False,
            cwd=cwd or self.folder,
            env=self.environ | environ,
            timeout=100,
        )


@pytest.fixture
def job(shop, ci_backend):
    return Job(shop, ci_backend)


def filled_in(text: str, values: dict[str, str]) -> str:
    """Return a text with its ${{ … }} replaced: names, and `a || b`; outputs of steps that did not run are empty."""

    def value(match: re.Match[str]) -> str:
        for part in match[1].split("||"):
            name = part.strip()
            is_output = name.startswith("steps.")
            found = name.strip("'") if name.startswith("'") else values.get(name, "") if is_output else values[name]
            if found:
                return found
        return ""

    return re.sub(r"\$\{\{\s*(.*?)\s*\}\}", value, text)


@pytest.fixture
def fill():
    return filled_in
