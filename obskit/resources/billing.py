"""Cloud Billing budgets: told when the bill grows.

Source: Budget in google.cloud.billing.budgets_v1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar, Final, Self

from obskit.alerts.channels import NotificationChannel
from obskit.alerts.lookups import ExistingChannels
from obskit.alerts.strategies import channel_references
from obskit.errors import Problem
from obskit.queries.carried import as_json_fields, merged
from obskit.queries.context import RenderContext
from obskit.queries.definitions import (
    Definition,
    as_flag,
    as_number,
    as_text,
    checked_id,
    definition,
    given,
    many,
    one,
    one_of,
)
from obskit.queries.reading import (
    carrying,
    document_of,
    id_of,
    read_choice,
    read_flag,
    read_items,
    read_number,
    read_table,
    read_text,
    read_texts,
)
from obskit.resources.billing_scope import BudgetPeriod, Credits, Scope
from obskit.resources.rules import length_rules

__all__ = ["BillingBudget", "BudgetPeriod", "BudgetThreshold", "Credits", "Scope"]

_LONGEST_NAME: Final = 60
_MOST_CHANNELS: Final = 5
_SCHEMA: Final = "1.0"
_ACCOUNT: Final = re.compile(r"[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}")
_TOPIC: Final = re.compile(r"projects/[^/]+/topics/[^/]+")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_BY_SERVER: Final = frozenset({"name", "etag"})
Channel = NotificationChannel | ExistingChannels | str


class Basis(StrEnum):
    """What is compared with the threshold."""

    SPENT = "spent"
    FORECAST = "forecast"


_BASES: Final = {Basis.SPENT: "CURRENT_SPEND", Basis.FORECAST: "FORECASTED_SPEND"}


@definition
class BudgetThreshold(Definition):
    """A share of the budget at which people are told.

    Attributes:
        share: 0.5 for 50 %, 0 or more; it may be above 1.
        of: ``spent``, or ``forecast`` for what will be spent by the period's end.
    """

    noun: ClassVar[str] = "threshold"

    share: float = given(as_number, placeholder=1.0)
    of: str = given(one_of(Basis), default=Basis.SPENT)

    def to_dict(self) -> dict[str, Any]:
        """Return the REST form."""
        return {"thresholdPercent": self.share, "spendBasis": _BASES[Basis(self.of)]}


def _thresholds(value: object) -> tuple[BudgetThreshold, ...]:
    items = value if isinstance(value, list | tuple) else (value,)
    return tuple(item if isinstance(item, BudgetThreshold) else BudgetThreshold(share=item) for item in items)


@definition
class BillingBudget(Definition):
    """What a billing account may spend in a period, and who is told on the way there.

    Attributes:
        id: what sync knows it by.
        account: the billing account, ``012345-6789AB-CDEF01``.
        amount: in the account's currency; as much as in the last period when not given.
        currency: e.g. ``EUR``; the account's when empty.
        scope: what of the account's spending counts; all of it when not given.
        thresholds: shares of the amount, e.g. ``[0.5, 0.9, 1.0]``, or `BudgetThreshold`.
        channels: at most 5 e-mail channels.
        topic: a Pub/Sub topic that is told regularly, ``projects/P/topics/T``.
        tell_billing_admins: whether the account's administrators get an e-mail.
        tell_project_owners: whether the owners of the one project do.
        display_name: at most 60 characters; the id when empty.
        carried: fields of the REST API that this model does not know.
    """

    noun: ClassVar[str] = "billing budget"
    named_by: ClassVar[str] = "id"
    collection: ClassVar[str] = "budgets"
    labels_field: ClassVar[str] = ""

    id: str = given(checked_id, placeholder="")
    account: str = given(as_text, placeholder="")
    amount: float | None = given(as_number, default=None)
    currency: str = given(as_text, default="")
    scope: Scope | None = given(one(Scope), default=None)
    thresholds: Sequence[BudgetThreshold | float] = given(_thresholds, default=())
    channels: Sequence[Channel] = given(many(NotificationChannel, ExistingChannels, str), default=())
    topic: str = given(as_text, default="")
    tell_billing_admins: bool = given(as_flag, default=True)
    tell_project_owners: bool = given(as_flag, default=False)
    display_name: str = given(as_text, default="")
    carried: Mapping[str, Any] = given(as_json_fields, default_factory=dict)

    def parent(self, context: RenderContext) -> str:
        """Return the resource name of the billing account."""
        del context
        return f"billingAccounts/{self.account.removeprefix('billingAccounts/')}"

    def to_dict(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form, without ``name``."""
        rendered: dict[str, Any] = {"displayName": self.display_name or self.id, "amount": self._amount()}
        if self.scope is not None:
            rendered["budgetFilter"] = self.scope.to_dict()
        if self.thresholds:
            rendered["thresholdRules"] = [each.to_dict() for each in _thresholds(self.thresholds)]
        told = {
            "monitoringNotificationChannels": channel_references(self.channels, context),
            "pubsubTopic": self.topic,
            "schemaVersion": _SCHEMA if self.topic else "",
            "disableDefaultIamRecipients": not self.tell_billing_admins,
            "enableProjectLevelRecipients": self.tell_project_owners,
        }
        if rule := {key: value for key, value in told.items() if value}:
            rendered["notificationsRule"] = rule
        return merged(rendered, self.carried)

    def _amount(self) -> dict[str, Any]:
        if self.amount is None:
            return {"lastPeriodAmount": {}}
        exact = Decimal(repr(self.amount))
        money: dict[str, Any] = {"currencyCode": self.currency} if self.currency else {}
        money["units"] = str(int(exact))
        if nanos := int((exact - int(exact)) * 10**9):
            money["nanos"] = nanos
        return {"specifiedAmount": money}

    @classmethod
    def from_json(cls, document: Mapping[str, Any], *, id: str = "", account: str = "") -> Self:  # noqa: A002
        """Return the budget that an object of the REST API is.

        Args:
            document: the object's JSON.
            id: the budget's id; made from its display name where it is empty.
            account: the billing account; that of its resource name where it is empty.

        Raises:
            DefinitionError: it is no JSON object.
        """
        wanted = document_of(document, noun=cls.noun, without=_BY_SERVER)
        named = str(document.get("name") or "").removeprefix("billingAccounts/").partition("/")[0]
        money, told = (
            read_table(read_table(wanted, "amount"), "specifiedAmount"),
            read_table(wanted, "notificationsRule"),
        )
        exact = Decimal(str(read_number(money, "units"))) + Decimal(str(read_number(money, "nanos"))) / 10**9
        rules = read_items(wanted, "thresholdRules")
        scope = wanted.get("budgetFilter")
        made = cls(
            id=id_of(document, given=id, default="budget"),
            account=account or named,
            amount=float(exact) if money else None,
            currency=read_text(money, "currencyCode"),
            scope=Scope.from_json(scope) if isinstance(scope, Mapping) else None,
            thresholds=[
                BudgetThreshold(
                    share=read_number(rule, "thresholdPercent"),
                    of=read_choice(rule, "spendBasis", _BASES) or Basis.SPENT,
                )
                for rule in rules
            ],
            channels=read_texts(told, "monitoringNotificationChannels"),
            topic=read_text(told, "pubsubTopic"),
            tell_billing_admins=not read_flag(told, "disableDefaultIamRecipients"),
            tell_project_owners=read_flag(told, "enableProjectLevelRecipients"),
            display_name=read_text(wanted, "displayName"),
        )
        return carrying(made, made.to_dict(RenderContext(project="")), wanted)

    def problems(self, context: RenderContext) -> list[Problem]:
        """Return every rule of the platform that this budget breaks."""
        del context
        if self.is_broken:
            return []
        found = [self.problem(problem, way_out) for problem, way_out in self._rules()]
        for channel in self.channels:
            found += channel.problems(self.place) if isinstance(channel, ExistingChannels) else []
        return found

    def _rules(self) -> Iterator[tuple[str, str]]:
        if not _ACCOUNT.fullmatch(self.account.removeprefix("billingAccounts/")):
            yield f"account is {self.account!r}, must be a billing account", 'Write account="012345-6789AB-CDEF01"'
        yield from length_rules("display_name", self.display_name, _LONGEST_NAME)
        if self.amount is not None and self.amount <= 0:
            yield f"amount is {self.amount:g}, must be above 0", "Write for example amount=1000"
        if self.currency and not _CURRENCY.fullmatch(self.currency):
            yield f"currency is {self.currency!r}, must be three capital letters", 'Write currency="EUR"'
        if self.scope is not None and not self.scope.is_broken:
            yield from self.scope.rules()
        yield from self._threshold_rules()
        yield from self._notification_rules()

    def _threshold_rules(self) -> Iterator[tuple[str, str]]:
        thresholds = _thresholds(self.thresholds)
        is_once = self.scope is not None and self.scope.is_once
        for each in thresholds:
            if each.share < 0:
                yield f"a threshold's share is {each.share:g}, must be 0 or more", "Write 0.5 for 50 %"
            elif each.share >= 10:
                yield (
                    f"a threshold's share is {each.share:g}, which is {each.share * 100:g} %",
                    f"Write {each.share / 100:g} for {each.share:g} %",
                )
            if each.of == Basis.FORECAST and is_once:
                yield "there is no forecast for a scope with start=", 'Give the scope a period="month" instead'
        if self.amount is None and is_once:
            yield "without amount= the last period's is taken, and a scope with start= has none", "Add amount=…"
        if (self.channels or self.tell_project_owners) and not thresholds:
            yield "e-mails are sent at thresholds, and there are none", "Add thresholds=[0.5, 0.9, 1.0]"

    def _notification_rules(self) -> Iterator[tuple[str, str]]:
        if len(self.channels) > _MOST_CHANNELS:
            yield f"there are {len(self.channels)} channels, at most {_MOST_CHANNELS} are allowed", "Remove some"
        for channel in self.channels:
            if isinstance(channel, NotificationChannel) and channel.kind != "email":
                yield (
                    f'channel "{channel.id}" is a {channel.kind} channel, budgets tell e-mail channels only',
                    "Use email(…) channels, or topic=… for programs",
                )
        if self.topic and not _TOPIC.fullmatch(self.topic):
            yield f"topic is {self.topic!r}, must be a Pub/Sub topic", "Write projects/PROJECT/topics/TOPIC"
        if self.tell_project_owners and (self.scope is None or len(self.scope.projects) != 1):
            yield "tell_project_owners needs a scope of exactly one project", 'Write scope=Scope(projects=["PROJECT"])'
