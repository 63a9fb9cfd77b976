"""The books in Firestore: one transaction a request, by Firestore's own clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib import import_module
from typing import Any

from obskit.errors import ConfigError, Problem
from obskit.llm.budgets.ledger import Outcome, Request, State, apply

__all__ = ["FirestoreStore"]


class FirestoreStore:
    """Keeps the books in Firestore, one document an account, for services that have no Redis.

    A document takes about one write a second for long: good for budgets of users and sessions, too slow for one of
    a whole tier (`Budgets(totals=…)`) that many use at once. The clock is the time at which Firestore says that it
    has read the documents. User and session ids are stored as hashes.

    Args:
        client: a `google.cloud.firestore.Client` (the synchronous one).
        collection: of the documents.
        transactional: the decorator that runs a function in a transaction and again where another one was faster;
            by default `google.cloud.firestore.transactional`.

    Raises:
        ConfigError: the package `google-cloud-firestore` is not installed.
    """

    is_local = False

    def __init__(
        self,
        client: Any,
        *,
        collection: str = "obskit_budgets",
        transactional: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None,
    ) -> None:
        self._client = client
        self._collection = collection
        self._transactional = _import_transactional() if transactional is None else transactional

    def apply(self, request: Request, *, timeout_s: float) -> Outcome:
        """Do what is asked; see `Store.apply`."""
        documents = self._client.collection(self._collection)
        references = [documents.document(account.key) for account in request.accounts]

        def change(transaction: Any) -> Outcome:
            pages = [reference.get(transaction=transaction, timeout=timeout_s) for reference in references]
            states = [_state(page.to_dict()) for page in pages]
            now_ms = max(int(page.read_time.timestamp() * 1000) for page in pages)
            outcome = apply(request, states, now_ms)
            if outcome.status != "stale" and request.verb != "read":
                for reference, state in zip(references, states, strict=True):
                    transaction.set(reference, asdict(state))
            return outcome

        outcome: Outcome = self._transactional(change)(self._client.transaction())
        return outcome


def _state(document: Mapping[str, Any] | None) -> State:
    return State(**document) if document else State()


def _import_transactional() -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    try:
        firestore = import_module("google.cloud.firestore")  # an extra, for those who keep their budgets in it
    except ImportError as error:
        problem = Problem(
            place="FirestoreStore",
            problem="the package google-cloud-firestore is not installed",
            way_out='Install it with pip install "obskit[firestore]"',
        )
        raise ConfigError(problem) from error
    transactional: Callable[[Callable[..., Any]], Callable[..., Any]] = firestore.transactional
    return transactional
