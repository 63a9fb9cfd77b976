"""What a pack is: the definitions for one service, made from settings, with data to see and to test them by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Final, Generic, TypeVar
from urllib.parse import quote

from obskit.alerts import AlertPolicy, Documentation, Link, NotificationChannel
from obskit.alerts.lookups import ExistingChannels
from obskit.alerts.strategies import Channel
from obskit.dashboards import Dashboard
from obskit.packs.cases import Case
from obskit.packs.scenarios import Scenario
from obskit.queries.definitions import Definition, definition, given, many, whole
from obskit.queries.stacks import MISSING, PerStack

__all__ = ["Objects", "Pack", "PackSettings", "Receivers"]

_LOGS: Final = "https://console.cloud.google.com/logs/query;query={query}?project=${{project}}"
_channels: Final = many(NotificationChannel, ExistingChannels, str)


@definition
class Receivers(Definition):
    """Who is told of a pack's alerts, by how urgent it is. Each is a list of channels, or of their ids.

    The ids that stand here by default are those of the channels that ``obskit init`` writes.

    Attributes:
        page: wakes somebody up. Source: PagerDuty.
        team: is read during the day. Source: Slack.
        mail: is read this week. Source: email.
        finance: hears of money. Source: email to finance.
    """

    noun: ClassVar[str] = "receivers"

    page: Sequence[Channel] = given(_channels, default=("pagerduty",))
    team: Sequence[Channel] = given(_channels, default=("slack",))
    mail: Sequence[Channel] = given(_channels, default=("email",))
    finance: Sequence[Channel] = given(_channels, default=("finance",))


def _receivers(value: object) -> Receivers:
    return many(Receivers)(value)[0]  # type: ignore[no-any-return]


@definition
class PackSettings(Definition):
    """What every pack can be told; each pack's own `Settings` add thresholds and names.

    Attributes:
        receivers: who is told of the alerts.
    """

    noun: ClassVar[str] = "settings"

    receivers: Receivers = given(_receivers, default_factory=Receivers)


S = TypeVar("S", bound=PackSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """The definitions that a pack makes.

    Attributes:
        dashboards: at least one.
        alerts: policies.
        resources: other objects of `obskit.resources`: uptime checks, log-based metrics, SLOs, budgets.
    """

    dashboards: tuple[Dashboard, ...] = ()
    alerts: tuple[AlertPolicy, ...] = ()
    resources: tuple[Any, ...] = ()

    @property
    def all(self) -> tuple[Any, ...]:
        """All of them: resources first, as alerts may need them, and dashboards last."""
        return (*self.resources, *self.alerts, *self.dashboards)

    def alert(self, name: str) -> AlertPolicy:
        """Return the alert of an id.

        Raises:
            KeyError: there is none.
        """
        return {each.id: each for each in self.alerts}[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack(Generic[S]):
    """Definitions for one service.

    Attributes:
        name: lower-case letters, digits and dashes; what the command line knows it by.
        title: the service's name, for people.
        summary: one sentence: what it watches.
        needs: whose data it shows: prefixes of metric types (``run.googleapis.com``), ``obskit`` for the app's own.
        logs: Cloud Logging's filter of the entries to look at first: a link in each notification of its alerts.
        settings: the class of its settings; every field has a default.
        make: makes the definitions from settings.
        scenario: made-up data that its dashboard can be drawn from.
        cases: for each alert at least one in which it fires and one in which it stays silent.
        example: settings that fit the scenario and the cases, where the defaults do not.
    """

    name: str
    title: str
    summary: str
    needs: tuple[str, ...]
    logs: str
    settings: type[S]
    make: Callable[[S], Objects]
    scenario: Scenario
    cases: tuple[Case, ...]
    example: Mapping[str, Any] = field(default_factory=dict)

    def objects(self, settings: S | None = None) -> Objects:
        """Return the definitions.

        Args:
            settings: of this pack's class; the defaults when not given. Values may differ from stack to stack.
        """
        chosen = self.settings() if settings is None else settings
        variants: PerStack[S] | None = chosen.variants
        if variants is None:
            return self._made(chosen)
        return _joined(variants, self._made)

    def _made(self, settings: S) -> Objects:
        made, link = self.make(settings), Link(name="Logs", url=_LOGS.format(query=quote(self.logs, safe="")))
        return replace(made, alerts=tuple(_linked(policy, link) for policy in made.alerts))

    def example_objects(self) -> Objects:
        """Return the definitions that the scenario and the cases are of."""
        return self.objects(self.settings(**self.example))


def _linked(policy: AlertPolicy, link: Link) -> AlertPolicy:
    written = policy.documentation
    if not isinstance(written, Documentation):
        raise TypeError(f"policy {policy.id} has no runbook")
    return replace(policy, documentation=replace(written, links=(*written.links, link)))


def _joined(variants: PerStack[S], make: Callable[[S], Objects]) -> Objects:
    """Return objects that are, in each stack, those that the stack's settings make."""
    made = {stack: make(each) for stack, each in variants.by_stack.items()}
    otherwise = None if variants.otherwise is MISSING else make(variants.otherwise)
    every = [*made.values(), *([] if otherwise is None else [otherwise])]

    def joined(of: Callable[[Objects], tuple[Any, ...]]) -> tuple[Any, ...]:
        keys: dict[tuple[type, str], None] = {}
        for one in every:
            keys |= dict.fromkeys((type(each), str(each.id)) for each in of(one))

        def found(one: Objects, key: tuple[type, str]) -> Any:
            return next((each for each in of(one) if (type(each), each.id) == key), None)

        def variant(key: tuple[type, str]) -> Any:
            last = MISSING if otherwise is None else found(otherwise, key)
            return whole(PerStack({stack: found(one, key) for stack, one in made.items()}, last))

        return tuple(variant(key) for key in keys)

    return Objects(
        dashboards=joined(lambda one: one.dashboards),
        alerts=joined(lambda one: one.alerts),
        resources=joined(lambda one: one.resources),
    )
