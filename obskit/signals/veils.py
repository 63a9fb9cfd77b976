"""Spans without secrets, whoever has put them there: the app and other instrumentations set attributes too.

Done on the export thread. What is the same in many spans (methods, hosts, routes) is looked at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link, Status

from obskit.signals.redaction import REDACTED, Redactor

__all__ = ["Veil"]

_URLS: Final = frozenset({"url.full", "http.url", "url.path", "http.target"})
_QUERIES: Final = frozenset({"url.query"})
_MOST_KNOWN: Final = 5000
_MOST_CHARS: Final = 200


class Veil:
    """Takes secrets out of spans.

    Args:
        redactor: knows what is secret.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._clean: set[tuple[str, str]] = set()

    def span(self, span: ReadableSpan) -> ReadableSpan:
        """Return the span without the secrets in its name, attributes, events, links and status.

        Args:
            span: one that has ended; it is returned itself where it has none.
        """
        status, given, happened, linked = span.status, span.attributes, span.events, span.links
        name, attributes = self._text("", span.name), self._values(given)
        events, links, description = self._events(happened), self._links(linked), status.description
        said = self._text("", description) if description else description
        is_same = attributes is given and events is happened and links is linked
        if is_same and name is span.name and said is description:
            return span
        return ReadableSpan(
            name=name,
            context=span.context,
            parent=span.parent,
            resource=span.resource,
            attributes=attributes,
            events=events,
            links=links,
            kind=span.kind,
            status=Status(status.status_code, said),
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )

    def _values(self, attributes: Any) -> Any:
        """Return the attributes, the same object where none is secret."""
        if not attributes:
            return attributes
        changed = {}
        for key, value in attributes.items():
            if value.__class__ is str:
                if (key, value) in self._clean:
                    continue
                clean: Any = self._text(key, value)
            else:
                clean = self._other(key, value)
            if clean is not value:
                changed[key] = clean
        return {**attributes, **changed} if changed else attributes

    def _text(self, key: str, value: str) -> str:
        if (key, value) in self._clean:
            return value
        if self._redactor.hides(key, value):
            return REDACTED
        if key in _URLS:
            clean = self._redactor.url(value)
        elif key in _QUERIES:
            clean = self._redactor.query(value)
        else:
            clean = self._redactor.text(value)
        if clean != value:
            return clean
        if len(value) <= _MOST_CHARS:
            if len(self._clean) >= _MOST_KNOWN:
                self._clean.clear()
            self._clean.add((key, value))
        return value

    def _other(self, key: str, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(key, value)
        if value is None or isinstance(value, bool | int | float):
            return REDACTED if self._redactor.hides(key, value) else value
        if isinstance(value, Mapping | Sequence) and not isinstance(value, bytes):
            clean = self._redactor.value(key, value)
            is_same = clean == (list(value) if isinstance(value, tuple) else value)
            return value if is_same else clean
        return value

    def _events(self, events: Sequence[Event]) -> Sequence[Event]:
        if not events:
            return events
        clean = [self._event(event) for event in events]
        return events if all(new is old for new, old in zip(clean, events, strict=True)) else clean

    def _event(self, event: Event) -> Event:
        name, attributes = self._text("", event.name), self._values(event.attributes)
        if name is event.name and attributes is event.attributes:
            return event
        return Event(name, attributes, event.timestamp)

    def _links(self, links: Sequence[Link]) -> Sequence[Link]:
        if not links:
            return links
        clean = [(link, self._values(link.attributes)) for link in links]
        if all(values is link.attributes for link, values in clean):
            return links
        return [Link(link.context, values) for link, values in clean]
