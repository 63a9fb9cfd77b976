"""Which project a command reads or writes, and where it is: at Google, or in a local backend."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from obskit.catalog import Route
from obskit.config import resolve
from obskit.errors import ConfigError, Problem
from obskit.queries.environments import Environment, environment
from obskit.sync.google import GoogleBackend, local_url

if TYPE_CHECKING:
    from obskit.local.run import RemoteBackend

__all__ = ["Target", "running", "target"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A stack with its project, and where that is.

    Attributes:
        environment: the stack; its project is never empty.
        endpoint: a local backend, as `GoogleBackend` takes it; empty for Google.
    """

    environment: Environment
    endpoint: str

    @property
    def project(self) -> str:
        """The project's id."""
        return self.environment.project

    def backend(self) -> GoogleBackend:
        """Return the project itself."""
        return GoogleBackend(self.project, endpoint=self.endpoint)


def target(
    command: str,
    *,
    project: str = "",
    stack: str = "",
    route: Route | None = None,
    local: str = "",
    otherwise: str = "",
    way_out: str = "Give --project, set GOOGLE_CLOUD_PROJECT, or name it in [tool.obskit.stacks]",
) -> Target:
    """Return what a command's options mean here.

    The project is the one that is named, the stack's, that of the settings, or the local backend's own.

    Args:
        command: who asks, for errors.
        project: as given.
        stack: as given; ``default`` when empty.
        route: as given; the stack's own when None.
        local: address of a local backend; that of the settings when empty.
        otherwise: project where neither options nor settings name one.
        way_out: what to do where no project is known.

    Raises:
        ConfigError: no project is known, a setting cannot be used, or no local backend answers.
        BackendError: none answers at the address of its gRPC services.
    """
    chosen = environment(stack, project=project, route=route)
    settings = resolve({"project": chosen.project or None, "local_endpoint": local or None}).config
    endpoint = settings.local_endpoint
    found = settings.project or otherwise
    if endpoint and not found:
        endpoint = local_url(endpoint)
        found = running(endpoint).project
    if not found:
        raise ConfigError(Problem(place=command, problem="no project is named", way_out=way_out))
    return Target(environment=replace(chosen, project=found), endpoint=endpoint)


def running(address: str) -> RemoteBackend:
    """Return the local backend that answers on HTTP at an address, with or without ``http://``.

    Raises:
        ConfigError: there is none.
    """
    from obskit.local.run import RemoteBackend  # noqa: PLC0415 - most syncs need none

    url = address if "://" in address else f"http://{address}"
    found = RemoteBackend.connect(url, timeout_s=5.0)
    if found is None:
        way_out = "Start one with `obskit local`, or omit --local"
        raise ConfigError(Problem(place=url, problem="no local backend answers", way_out=way_out))
    return found
