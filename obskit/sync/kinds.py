"""The kinds of objects that sync knows, in the order in which they depend on each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from obskit.alerts import AlertPolicy, NotificationChannel
from obskit.dashboards import Dashboard

__all__ = ["ALERT_KINDS", "CHANNEL", "DASHBOARD", "DASHBOARD_KINDS", "KINDS", "POLICY", "Definition", "Kind"]

Definition = AlertPolicy | NotificationChannel | Dashboard


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of object.

    Attributes:
        name: the singular in plans and JSON.
        collection: the collection in resource names, ``projects/P/COLLECTION/ID``.
        model: the class of its definitions.
        labels_field: where the API keeps the user's labels.
        order: creates go up this order, deletes go down.
        masked: keys under ``labels`` that the API gives back masked, or not at all.
    """

    name: str
    collection: str
    model: type[Definition]
    labels_field: str
    order: int
    masked: frozenset[str] = frozenset()


CHANNEL: Final = Kind(
    name="notification channel",
    collection="notificationChannels",
    model=NotificationChannel,
    labels_field="userLabels",
    order=0,
    # Source: `sensitive` labels of Google's notification channel descriptors.
    masked=frozenset({"auth_token", "password", "service_key"}),
)
POLICY: Final = Kind(
    name="alert policy", collection="alertPolicies", model=AlertPolicy, labels_field="userLabels", order=1
)
DASHBOARD: Final = Kind(name="dashboard", collection="dashboards", model=Dashboard, labels_field="labels", order=2)

KINDS: Final = (CHANNEL, POLICY, DASHBOARD)
ALERT_KINDS: Final = (CHANNEL, POLICY)
DASHBOARD_KINDS: Final = (DASHBOARD,)
