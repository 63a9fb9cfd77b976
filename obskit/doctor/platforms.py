"""Where this runs: the platform, told from what each of them puts into the environment."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from obskit.doctor.findings import Finding, Kind, info, ok, warning
from obskit.signals import places

__all__ = ["Platform", "describe", "detect"]

_UNKNOWN: Final = "?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """A platform.

    Attributes:
        name: for programs, e.g. ``cloud_run_service``.
        title: for people, with the names that the platform has given.
        is_google: whether it is one of Google Cloud's, with a metadata server.
        is_deployed: whether users are served from there, as far as can be told.
        collects_stdout: what takes the log lines from stdout; empty where nobody does.
    """

    name: str
    title: str
    is_google: bool = False
    is_deployed: bool = True
    collects_stdout: str = ""


_CLOUD_LOGGING: Final = "Cloud Logging"


def _google(name: str, title: str) -> Platform:
    return Platform(name=name, title=title, is_google=True, collects_stdout=_CLOUD_LOGGING)


# What gives a platform away: all of these variables are set. The first that fits, so the particular before the
# general. A title's `{NAME}` is that variable's value. Source: each platform's documentation of its environment.
_SIGNS: Final[tuple[tuple[tuple[str, ...], Platform], ...]] = (
    (
        ("CLOUD_RUN_JOB",),
        _google(
            "cloud_run_job",
            "Cloud Run job {CLOUD_RUN_JOB}, execution {CLOUD_RUN_EXECUTION}, task {CLOUD_RUN_TASK_INDEX}",
        ),
    ),
    (("CLOUD_RUN_WORKER_POOL",), _google("cloud_run_worker_pool", "Cloud Run worker pool {CLOUD_RUN_WORKER_POOL}")),
    (("GAE_ENV",), _google("app_engine", "App Engine, service {GAE_SERVICE}, version {GAE_VERSION}")),
    (("GAE_SERVICE",), _google("app_engine_flexible", "App Engine flexible, service {GAE_SERVICE}")),
    (
        ("K_SERVICE", "FUNCTION_TARGET"),
        _google("cloud_run_function", "Cloud Run function {K_SERVICE}, revision {K_REVISION}"),
    ),
    (("K_SERVICE",), _google("cloud_run_service", "Cloud Run service {K_SERVICE}, revision {K_REVISION}")),
    (("DYNO",), Platform(name="heroku", title="Heroku, dyno {DYNO}", collects_stdout="Logplex")),
    (("RENDER",), Platform(name="render", title="Render, service {RENDER_SERVICE_NAME}", collects_stdout="Render")),
    (("FLY_APP_NAME",), Platform(name="fly", title="Fly.io, app {FLY_APP_NAME}", collects_stdout="Fly.io")),
    (
        ("RAILWAY_ENVIRONMENT_NAME",),
        Platform(name="railway", title="Railway, service {RAILWAY_SERVICE_NAME}", collects_stdout="Railway"),
    ),
    (
        ("AWS_LAMBDA_FUNCTION_NAME",),
        Platform(name="aws_lambda", title="AWS Lambda, {AWS_LAMBDA_FUNCTION_NAME}", collects_stdout="CloudWatch"),
    ),
    (("ECS_CONTAINER_METADATA_URI_V4",), Platform(name="aws_ecs", title="Amazon ECS")),
    (("WEBSITE_SITE_NAME",), Platform(name="azure_app_service", title="Azure App Service {WEBSITE_SITE_NAME}")),
    (("GITHUB_ACTIONS",), Platform(name="ci", title="GitHub Actions", is_deployed=False)),
    (("GITLAB_CI",), Platform(name="ci", title="GitLab CI", is_deployed=False)),
    (("CI",), Platform(name="ci", title="a CI run", is_deployed=False)),
)


def detect(environ: Mapping[str, str], *, product_name: str | None = None) -> Platform:
    """Return the platform.

    Args:
        environ: the environment.
        product_name: what the machine's firmware calls it; read from it by default.
    """
    machine = places.product_name() if product_name is None else product_name
    is_google_machine = machine.startswith("Google")
    for variables, platform in _SIGNS:
        if all(environ.get(name) for name in variables):
            return replace(platform, title=_filled(platform.title, environ))
    if environ.get("KUBERNETES_SERVICE_HOST"):
        if is_google_machine:
            return _google("gke", "Google Kubernetes Engine")
        return Platform(name="kubernetes", title="Kubernetes", collects_stdout="the cluster's log agent, if it has one")
    if is_google_machine:
        return Platform(name="gce", title="Compute Engine", is_google=True)
    if Path("/.dockerenv").exists() or Path("/run/.containerenv").exists():
        return Platform(name="container", title="a container; nothing says on which platform", is_deployed=False)
    return Platform(name="local", title="this machine; nothing says that it is a platform", is_deployed=False)


def _filled(title: str, environ: Mapping[str, str]) -> str:
    """Return the title with its values; a part whose value the platform has not given is not mentioned at all."""
    parts = [(part, part.format_map(_Values(environ))) for part in title.split(", ")]
    return ", ".join(text for place, (_, text) in enumerate(parts) if place == 0 or _UNKNOWN not in text)


class _Values(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return _UNKNOWN


def describe(platform: Platform, environ: Mapping[str, str]) -> list[Finding]:
    """Return what there is to say about the platform."""
    found = [ok(Kind.PLATFORM, "platform", platform.title)]
    if local := environ.get("OBSKIT_LOCAL_URL"):
        found.append(ok(Kind.PLATFORM, "obskit run", f"under `obskit run`, whose backend is {local}"))
    if platform.name == "gce":
        text = "log lines on stdout stay on the machine, unless the Ops Agent or the container runtime takes them"
        found.append(info(Kind.PLATFORM, "stdout", text))
    active = environ.get("VIRTUAL_ENV", "")
    if active and Path(active).is_dir() and Path(active).resolve() != Path(sys.prefix).resolve():
        text = f"obskit runs from {sys.prefix}, while the active virtual environment is {active}"
        way_out = "Install obskit there and run `python -m obskit.cli doctor` with that environment's python"
        found.append(warning(Kind.PLATFORM, "virtual environment", text, way_out))
    return found
