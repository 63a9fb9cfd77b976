"""What rendering a definition depends on, beside the definition itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from obskit.catalog import Route
from obskit.errors import DefinitionError, Problem

__all__ = ["EnvVar", "RenderContext", "env"]


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
        resource_type: a monitored resource type that every catalog query is narrowed to. Needed in a project
            where one metric is written against several types; PromQL refuses to guess there.
    """

    project: str
    route: Route = Route.GCP
    stack: str = "default"
    channel_names: Mapping[str, str] = field(default_factory=dict)
    policy_names: Mapping[str, str] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
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
