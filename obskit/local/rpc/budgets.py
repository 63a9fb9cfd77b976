"""BudgetService of Cloud Billing. Budgets are kept; there is no bill here to compare them with."""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Final

import grpc

from obskit.local.rpc.documents import existing, json_of, merged, refuse
from obskit.local.rpc.failure import Refused, missing
from obskit.local.rpc.paging import page_of
from obskit.local.store import Store

__all__ = ["create_budget", "delete_budget", "get_budget", "list_budgets", "update_budget"]

Answer = Mapping[str, Any]
_ACCOUNT: Final = re.compile(r"billingAccounts/[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}")


def _faults(budget: Mapping[str, Any]) -> Iterator[str]:
    if len(budget.get("displayName") or "") > 60:
        yield "Field budget.display_name must have at most 60 characters."
    if len(budget.get("amount") or {}) != 1:
        yield "Field budget.amount must be either specified_amount or last_period_amount."
    rule = budget.get("notificationsRule") or {}
    if len(rule.get("monitoringNotificationChannels") or ()) > 5:
        yield "Field budget.notifications_rule.monitoring_notification_channels has more than 5 elements."
    if rule.get("pubsubTopic") and rule.get("schemaVersion") != "1.0":
        yield 'Field budget.notifications_rule.schema_version must be "1.0".'
    for each in budget.get("thresholdRules") or ():
        if float(each.get("thresholdPercent") or 0) < 0:
            yield "Field budget.threshold_rules[].threshold_percent must not be negative."


def _filled(budget: Mapping[str, Any]) -> dict[str, Any]:
    amount = dict(budget["amount"])
    if "specifiedAmount" in amount:
        amount["specifiedAmount"] = {"currencyCode": "EUR", **amount["specifiedAmount"]}
    scope = {"creditTypesTreatment": "INCLUDE_ALL_CREDITS", **(budget.get("budgetFilter") or {})}
    if "customPeriod" not in scope:
        scope.setdefault("calendarPeriod", "MONTH")
    rules = [{"spendBasis": "CURRENT_SPEND", **each} for each in budget.get("thresholdRules") or ()]
    found = {**budget, "amount": amount, "budgetFilter": scope, "etag": secrets.token_hex(8)}
    return {**found, "thresholdRules": rules} if rules else found


def _refuse_account(name: str) -> None:
    if not _ACCOUNT.match(name):
        raise missing(name)


def create_budget(store: Store, request: Any) -> Answer:
    """Create a budget of a billing account."""
    _refuse_account(request.parent)
    budget = json_of(request.budget)
    refuse(list(_faults(budget)))
    document = {**_filled(budget), "name": f"{request.parent}/budgets/{uuid.uuid4()}"}
    store.objects.put(document)
    return document


def get_budget(store: Store, request: Any) -> Answer:
    """Return one budget."""
    return existing(store, request.name)


def list_budgets(store: Store, request: Any) -> Answer:
    """Return a page of a billing account's budgets."""
    _refuse_account(request.parent)
    page, token = page_of(store.objects.list("budgets", parent=request.parent), request.page_size, request.page_token)
    return {"budgets": list(page), "nextPageToken": token}


def update_budget(store: Store, request: Any) -> Answer:
    """Change the fields of the mask, or everything where it is empty; with an etag only if nobody has since."""
    given = json_of(request.budget)
    current = existing(store, request.budget.name)
    if given.get("etag") and given["etag"] != current.get("etag"):
        raise Refused(grpc.StatusCode.ABORTED, f"The etag of {current['name']} is not the current one.")
    document = merged(current, given, request.update_mask)
    refuse(list(_faults(document)))
    document = {**_filled(document), "name": current["name"]}
    store.objects.put(document)
    return document


def delete_budget(store: Store, request: Any) -> Answer:
    """Delete a budget."""
    if not store.objects.delete(request.name):
        raise missing(request.name)
    return {}
