"""Runs first in every Python process under `obskit run`.

It makes FastAPI, Starlette and Flask apps observable when they are first asked to serve, and sends
Google's observability clients of any library to the local backend. It needs nothing but the standard
library until such a module is imported, and whatever goes wrong in it costs one line on stderr, never
the process.
"""

from __future__ import annotations

import functools
import importlib.machinery
import importlib.util
import os
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib would double this file's import time
ENDPOINT = os.environ.get("OBSKIT_LOCAL_ENDPOINT", "")

# Only what the local backend speaks; Firestore, Pub/Sub and the like stay where they were.
REDIRECTED = (
    "monitoring.googleapis.com",
    "logging.googleapis.com",
    "cloudtrace.googleapis.com",
    "clouderrorreporting.googleapis.com",
    "telemetry.googleapis.com",
)


def say(problem: str) -> None:
    """Print the one line that a problem costs."""
    print(f"obskit run: {problem}", file=sys.stderr, flush=True)  # noqa: T201


def guarded(function: Callable[..., None]) -> Callable[..., None]:
    """Return the function with every exception turned into one line on stderr."""

    @functools.wraps(function)
    def call(*args: Any) -> None:
        try:
            function(*args)
        except Exception as error:  # noqa: BLE001 - the app must run as if this file were not there
            say(f"{function.__name__.replace('_', ' ')}: {type(error).__name__}: {error}")

    return call


# --------------------------------------------------------------------------- apps

_seen_lock = threading.RLock()


@guarded
def instrument(app: Any) -> None:
    """Call `obskit.instrument` for an app, once; an app that has called it itself keeps its own settings."""
    if app.__dict__.get("_obskit_run_seen"):
        return
    with _seen_lock:
        if app.__dict__.get("_obskit_run_seen"):
            return
        app.__dict__["_obskit_run_seen"] = True
        import obskit  # noqa: PLC0415 - only a process that serves pays for it

        obskit.instrument(app)


def _serve_asgi(kind: Any) -> None:
    original = kind.__call__

    @functools.wraps(original)
    async def call(self: Any, scope: Any, receive: Any, send: Any) -> Any:
        if "app" not in scope:  # a mounted app belongs to the one around it
            instrument(self)
        return await original(self, scope, receive, send)

    kind.__call__ = call


def _serve_wsgi(kind: Any) -> None:
    original = kind.__call__

    @functools.wraps(original)
    def call(self: Any, environ: Any, start_response: Any) -> Any:
        instrument(self)
        return original(self, environ, start_response)

    kind.__call__ = call


@guarded
def watch_starlette(module: ModuleType) -> None:
    """Instrument Starlette apps at their first lifespan, request or WebSocket."""
    _serve_asgi(module.Starlette)


@guarded
def watch_fastapi(module: ModuleType) -> None:
    """Instrument FastAPI apps, whose own `__call__` does work before Starlette's."""
    if "__call__" in vars(module.FastAPI):
        _serve_asgi(module.FastAPI)


@guarded
def watch_flask(module: ModuleType) -> None:
    """Instrument Flask apps at `app.run()`, else at their first request."""
    _serve_wsgi(module.Flask)
    original = module.Flask.run

    @functools.wraps(original)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        # The first request may come on another thread, where no signal handler can be set for the last flush.
        instrument(self)
        return original(self, *args, **kwargs)

    module.Flask.run = run


@guarded
def watch_flask_command(module: ModuleType) -> None:
    """Instrument the app that `flask run` has loaded, on the main thread."""
    original = module.ScriptInfo.load_app

    @functools.wraps(original)
    def load_app(self: Any) -> Any:
        app = original(self)
        instrument(app)
        return app

    module.ScriptInfo.load_app = load_app


# --------------------------------------------------------------------------- Google's clients


def _is_ours(target: object) -> bool:
    return str(target).removeprefix("dns:///").partition(":")[0] in REDIRECTED


@guarded
def redirect_channels(module: ModuleType) -> None:
    """Give observability clients an insecure channel to the local backend."""
    original = module.create_channel

    @functools.wraps(original)
    def create_channel(target: Any, *args: Any, **kwargs: Any) -> Any:
        if not _is_ours(target):
            return original(target, *args, **kwargs)
        import grpc  # noqa: PLC0415 - whoever calls this has it loaded

        return grpc.insecure_channel(ENDPOINT, options=kwargs.get("options"))

    module.create_channel = create_channel  # type: ignore[attr-defined]


@guarded
def redirect_async_channels(module: ModuleType) -> None:
    """The same for asyncio clients."""
    original = module.create_channel

    @functools.wraps(original)
    def create_channel(target: Any, *args: Any, **kwargs: Any) -> Any:
        if not _is_ours(target):
            return original(target, *args, **kwargs)
        from grpc import aio  # noqa: PLC0415 - whoever calls this has it loaded

        return aio.insecure_channel(ENDPOINT, options=kwargs.get("options"))

    module.create_channel = create_channel  # type: ignore[attr-defined]


@guarded
def lend_credentials(module: ModuleType) -> None:
    """Let `google.auth.default` answer with anonymous credentials where this machine has none."""
    original = module.default

    @functools.wraps(original)
    def default(*args: Any, **kwargs: Any) -> Any:
        from google.auth import credentials, exceptions  # noqa: PLC0415

        project = os.environ.get("GOOGLE_CLOUD_PROJECT")
        try:
            found, own_project = original(*args, **kwargs)
        except exceptions.DefaultCredentialsError:
            return credentials.AnonymousCredentials(), project  # type: ignore[no-untyped-call]
        return found, own_project or project

    module.default = default  # type: ignore[attr-defined]


# --------------------------------------------------------------------------- import hooks

ON_IMPORT: dict[str, Callable[..., None]] = {
    "starlette.applications": watch_starlette,
    "fastapi.applications": watch_fastapi,
    "flask.app": watch_flask,
    "flask.cli": watch_flask_command,
}
if ENDPOINT:
    ON_IMPORT |= {
        "google.api_core.grpc_helpers": redirect_channels,
        "google.api_core.grpc_helpers_async": redirect_async_channels,
        "google.auth": lend_credentials,
    }


class _Loader:
    """A module's own loader, followed by the hook for that module."""

    def __init__(self, loader: Any, hook: Callable[..., None]) -> None:
        self._loader = loader
        self._hook = hook

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: Any) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        self._hook(module)


class _Finder:
    """Finds nothing itself: it lets the other finders work, and puts the hook behind the loader."""

    def __init__(self) -> None:
        self._busy = threading.local()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        hook = ON_IMPORT.get(name)
        if hook is None or getattr(self._busy, "name", None) == name:
            return None
        self._busy.name = name
        try:
            for finder in sys.meta_path:
                spec = finder.find_spec(name, path, target) if finder is not self else None
                if spec is not None:
                    break
        finally:
            self._busy.name = None
        if spec is None or spec.loader is None or not hasattr(spec.loader, "exec_module"):
            return None
        spec.loader = _Loader(spec.loader, hook)  # type: ignore[assignment]
        return spec


@guarded
def run_other_sitecustomize() -> None:
    """Run the sitecustomize that this one hides, if there is one."""
    path = [folder for folder in sys.path if os.path.abspath(folder or ".") != HERE]  # noqa: PTH100 - see HERE
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", path)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)


@guarded
def start() -> None:
    """Set the hooks, and apply those whose module is already there."""
    for name, hook in ON_IMPORT.items():
        if name in sys.modules:
            hook(sys.modules[name])
    sys.meta_path.insert(0, _Finder())


if os.environ.get("OBSKIT_LOCAL_URL"):
    start()
run_other_sitecustomize()
