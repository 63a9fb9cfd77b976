"""What rendering a definition depends on, beside the definition itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from obskit.catalog import Route
from obskit.errors import DefinitionError, Problem

__all__ = ["EnvVar", "RenderContext", "Secret", "env", "secret"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderContext:
    """Where a definition is rendered for.

    Attributes:
        project: Google Cloud project id.
        route: how metrics reach Cloud Monitoring, which decides their names.
        stack: the name under which sync owns what it makes.
        channel_names: notification channel id → resource name, for channels that exist.
        policy_names: alert policy id → resource name, for policies that exist.
        environ: where `env` reads from.
        secrets: what `secret` reads from: resource name of a secret's version → its value. Sync reads the values that
            definitions ask for before it renders.
        resource_type: a monitored resource type that every catalog query is narrowed to. Needed in a project
            where one metric is written against several types; PromQL refuses to guess there.
    """

    project: str
    route: Route = Route.GCP
    stack: str = "default"
    channel_names: Mapping[str, str] = field(default_factory=dict)
    policy_names: Mapping[str, str] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    resource_type: str = ""

    def channel_name(self, channel_id: str) -> str:
        """Return the resource name of a channel, or the reference that sync resolves once it exists."""
        return self.channel_names.get(channel_id) or f"projects/{self.project}/notificationChannels/obskit:{channel_id}"

    def policy_name(self, policy_id: str) -> str:
        """Return the resource name of a policy, or the reference that sync resolves once it exists."""
        return self.policy_names.get(policy_id) or f"projects/{self.project}/alertPolicies/obskit:{policy_id}"


@dataclass(frozen=True, slots=True)
class EnvVar:
    """A value that is read from the environment when a definition is rendered, never when it is imported."""

    name: str
    default: str | None = None

    def is_set(self, context: RenderContext) -> bool:
        """Return whether rendering will find a value."""
        return bool(context.environ.get(self.name)) or self.default is not None

    def read(self, context: RenderContext) -> str:
        """Return the value.

        Raises:
            DefinitionError: the variable is missing and has no default.
        """
        value = context.environ.get(self.name) or self.default
        if value is None:
            raise DefinitionError(self.problem("environment"))
        return value

    def problem(self, place: str) -> Problem:
        """Return the problem of the variable not being there."""
        return Problem(
            place=place,
            problem=f"environment variable {self.name} is not set",
            way_out=f'Set {self.name}, or give a default: env("{self.name}", default="…")',
        )


def env(name: str, *, default: str | None = None) -> EnvVar:
    """Return a value that is read from the environment variable `name` when the definition is rendered.

    Args:
        name: the variable's name.
        default: the value where the variable is missing or empty; without it, rendering reports a problem.
    """
    return EnvVar(name, default)


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that stands in Secret Manager, read when a definition is rendered.

    Attributes:
        name: the secret's id.
        version: a number, or ``latest``.
        project: where it is; the project that is rendered for when empty.
    """

    name: str
    version: str = "latest"
    project: str = ""

    def resource(self, context: RenderContext) -> str:
        """Return the resource name of the version."""
        return f"projects/{self.project or context.project}/secrets/{self.name}/versions/{self.version}"

    def is_set(self, context: RenderContext) -> bool:
        """Return whether the value has been read."""
        return self.resource(context) in context.secrets

    def read(self, context: RenderContext) -> str:
        """Return the value.

        Raises:
            DefinitionError: it was not read from Secret Manager.
        """
        if not self.is_set(context):
            raise DefinitionError(
                Problem(
                    place="Secret Manager",
                    problem=f"{self.resource(context)} was not read",
                    way_out="Grant roles/secretmanager.secretAccessor on it to the account that syncs",
                )
            )
        return context.secrets[self.resource(context)]


def secret(name: str, *, version: str = "latest", project: str = "") -> Secret:
    """Return a value that is read from Secret Manager when the definition is synced.

    Args:
        name: the secret's id, or its whole resource name ``projects/P/secrets/S/versions/V``.
        version: a number, or ``latest``.
        project: the project that it is in; the one that is synced when empty.
    """
    parts = name.split("/")
    if len(parts) in (4, 6) and parts[0] == "projects" and parts[2] == "secrets":
        return Secret(parts[3], parts[5] if len(parts) == 6 else version, parts[1])
    return Secret(name, version, project)
