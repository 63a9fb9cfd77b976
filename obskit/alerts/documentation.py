"""What the on-call engineer reads in a notification."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, Self

from obskit.alerts.templates import template_rules
from obskit.errors import Problem
from obskit.queries.carried import as_json_fields, merged
from obskit.queries.definitions import Definition, as_text, definition, given, many, shown
from obskit.queries.reading import carrying, read_items, read_text

__all__ = ["Documentation", "Link"]

# Source: AlertPolicy.Documentation in google.cloud.monitoring_v3.
_CONTENT_CHARACTERS: Final = 8192
_CONTENT_BYTES: Final = 10_240
_SUBJECT_BYTES: Final = 255
_LINKS: Final = 3
_LINK_NAME: Final = 63
_LINK_URL: Final = 2083


@definition
class Link(Definition):
    """A link in a notification.

    Attributes:
        name: what is shown, at most 63 characters.
        url: an http or https address, at most 2,083 characters.
    """

    noun: ClassVar[str] = "link"
    named_by: ClassVar[str] = "name"

    name: str = given(as_text, placeholder="")
    url: str = given(as_text, placeholder="")

    def rules(self) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        if not self.name:
            yield f"the link to {shown(self.url)} has no name", 'Add for example name="Runbook"'
        which = f"link {shown(self.name)}"
        if len(self.name) > _LINK_NAME:
            yield f"{which}: its name has {len(self.name)} characters, at most {_LINK_NAME} are allowed", "Shorten it"
        if not self.url.startswith(("https://", "http://")):
            yield f"{which}: {shown(self.url)} is no http or https address", 'Write the full address, "https://…"'
        if len(self.url) > _LINK_URL:
            yield f"{which}: its URL has {len(self.url)} characters, at most {_LINK_URL} are allowed", "Shorten it"


@definition
class Documentation(Definition):
    """What a notification says beside the bare facts.

    Attributes:
        content: Markdown; at most 8,192 characters and 10,240 bytes. Variables such as ``${resource.label.zone}`` are
            filled in by the platform.
        subject: subject line of e-mails, at most 255 bytes; the platform's own when empty.
        links: at most 3 links, shown apart from the content.
        carried: fields of the REST API that this model does not know.
    """

    noun: ClassVar[str] = "documentation"

    content: str = given(as_text, default="")
    subject: str = given(as_text, default="")
    links: Sequence[Link] = given(many(Link), default=())
    carried: Mapping[str, Any] = given(as_json_fields, default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the REST form."""
        rendered: dict[str, Any] = {"content": self.content, "mimeType": "text/markdown"}
        if self.subject:
            rendered["subject"] = self.subject
        if self.links:
            rendered["links"] = [{"displayName": link.name, "url": link.url} for link in self.links]
        return merged(rendered, self.carried)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return the documentation that an object of the REST API is."""
        links = read_items(document, "links")
        # A link with a field of tomorrow is carried with all others: their order matters.
        is_known = all(set(link) <= {"displayName", "url"} for link in links)
        made = cls(
            content=read_text(document, "content"),
            subject=read_text(document, "subject"),
            links=[Link(name=read_text(link, "displayName"), url=read_text(link, "url")) for link in links if is_known],
        )
        return carrying(made, made.to_dict(), document)

    def problems(self, place: str, keys: Mapping[str, frozenset[str]]) -> list[Problem]:
        """Return what breaks the platform's rules, at the place of the policy.

        Args:
            place: of the policy.
            keys: table → keys that its variables may have, see `obskit.alerts.templates.template_rules`.
        """
        found = [] if self.is_broken else list(self._rules())
        for text in () if self.is_broken else (self.content, self.subject, *(link.url for link in self.links)):
            found += template_rules(text, keys)
        for link in self.links:
            found += [] if link.is_broken else link.rules()
        return [Problem(place=place, problem=f"documentation: {problem}", way_out=way) for problem, way in found]

    def _rules(self) -> Iterator[tuple[str, str]]:
        size = len(self.content.encode())
        if len(self.content) > _CONTENT_CHARACTERS:
            yield (
                f"the content has {len(self.content)} characters, at most {_CONTENT_CHARACTERS} are allowed",
                "Move the details to a page and link it",
            )
        elif size > _CONTENT_BYTES:
            yield f"the content has {size} bytes, at most {_CONTENT_BYTES} are allowed", "Shorten it"
        if len(self.subject.encode()) > _SUBJECT_BYTES:
            yield (
                f"the subject has {len(self.subject.encode())} bytes, at most {_SUBJECT_BYTES} are allowed",
                "Shorten it",
            )
        if "\n" in self.subject or "\r" in self.subject:
            yield "the subject has more than one line", "Write one line"
        if len(self.links) > _LINKS:
            yield f"there are {len(self.links)} links, at most {_LINKS} are allowed", "Put the others into the content"
