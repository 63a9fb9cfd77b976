"""What an uptime check asks, and what it expects."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, ClassVar, Final, Self

from obskit.alerts.channel_kinds import Setting, read_setting
from obskit.queries.carried import as_json_fields, merged
from obskit.queries.context import EnvVar, RenderContext
from obskit.queries.definitions import Definition, as_flag, as_text, as_whole, definition, given, many, one_of
from obskit.queries.reading import (
    carrying,
    read_choice,
    read_flag,
    read_items,
    read_number,
    read_table,
    read_text,
)
from obskit.resources.rules import as_secret

__all__ = ["HTTP", "TCP", "ContentMatch", "Matcher", "Method"]

_MOST_PINGS: Final = 3
_MOST_HEADERS: Final = 100
_LONGEST_BODY: Final = 1_000_000
_LONGEST_CONTENT: Final = 1024
_STATUS: Final = re.compile(r"[1-5]xx|any|[1-5]\d\d", re.IGNORECASE)
_CREDENTIALS: Final = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key"})


class Method(StrEnum):
    """How the page is asked for."""

    GET = "get"
    POST = "post"


class Matcher(StrEnum):
    """What the answer must do with the content."""

    CONTAINS = "contains"
    NOT_CONTAINS = "not_contains"
    MATCHES = "matches"
    NOT_MATCHES = "not_matches"
    JSON_PATH = "json_path"
    NOT_JSON_PATH = "not_json_path"


_METHODS: Final = {method: method.name for method in Method}
_MATCHERS: Final = {
    Matcher.CONTAINS: "CONTAINS_STRING",
    Matcher.NOT_CONTAINS: "NOT_CONTAINS_STRING",
    Matcher.MATCHES: "MATCHES_REGEX",
    Matcher.NOT_MATCHES: "NOT_MATCHES_REGEX",
    Matcher.JSON_PATH: "MATCHES_JSON_PATH",
    Matcher.NOT_JSON_PATH: "NOT_MATCHES_JSON_PATH",
}
_ON_TEXT: Final = frozenset({Matcher.CONTAINS, Matcher.NOT_CONTAINS})
_ON_JSON: Final = frozenset({Matcher.JSON_PATH, Matcher.NOT_JSON_PATH})


@definition
class ContentMatch(Definition):
    """What must, or must not, stand in the answer.

    Attributes:
        content: a text, a regular expression, or what stands at the JSON path; at most 1,024 bytes.
        matcher: ``contains``, ``not_contains``, ``matches``, ``not_matches``, ``json_path`` or ``not_json_path``.
        path: the JSON path, e.g. ``$.status``, for the last two.
        is_pattern: whether what stands at the JSON path is compared with a regular expression.
    """

    noun: ClassVar[str] = "content match"

    content: str = given(as_text, placeholder="")
    matcher: str = given(one_of(Matcher), default=Matcher.CONTAINS)
    path: str = given(as_text, default="")
    is_pattern: bool = given(as_flag, default=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the REST form."""
        rendered: dict[str, Any] = {"content": self.content, "matcher": _MATCHERS[Matcher(self.matcher)]}
        if self.path:
            how = "REGEX_MATCH" if self.is_pattern else "EXACT_MATCH"
            rendered["jsonPathMatcher"] = {"jsonPath": self.path, "jsonMatcher": how}
        return rendered

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return the match that an object of the REST API is."""
        at = read_table(document, "jsonPathMatcher")
        return cls(
            content=read_text(document, "content"),
            matcher=read_choice(document, "matcher", _MATCHERS) or Matcher.CONTAINS,
            path=read_text(at, "jsonPath"),
            is_pattern=at.get("jsonMatcher") == "REGEX_MATCH",
        )

    def rules(self, *, is_http: bool) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        size = len(self.content.encode())
        if not self.content or size > _LONGEST_CONTENT:
            way_out = "Look for a shorter text" if size else 'Write for example content="ok"'
            yield f"the content has {size} bytes, 1 to {_LONGEST_CONTENT} are allowed", way_out
        if not is_http and self.matcher not in _ON_TEXT:
            yield f'matcher "{self.matcher}" is for HTTP checks', 'Use "contains"'
        if (self.matcher in _ON_JSON) != bool(self.path):
            yield f'matcher "{self.matcher}" and path={self.path!r} do not fit', 'Write matcher="json_path", path="$.x"'


def _pings_to(rendered: dict[str, Any], pings: int) -> None:
    if pings:
        rendered["pingConfig"] = {"pingsCount": pings}


def _port_rules(port: int | None, pings: int) -> Iterator[tuple[str, str]]:
    if port is not None and not 1 <= port <= 65_535:
        yield f"port is {port}, must be 1 to 65535", "Use port=443"
    if not 0 <= pings <= _MOST_PINGS:
        yield f"pings is {pings}, must be 0 to {_MOST_PINGS}", f"Use pings={_MOST_PINGS}"


@definition
class TCP(Definition):
    """A check that opens a TCP connection.

    Attributes:
        port: 1 to 65535.
        pings: so many ICMP pings beside it, at most 3.
        carried: fields of the REST API that this model does not know.
    """

    noun: ClassVar[str] = "TCP check"
    json_field: ClassVar[str] = "tcpCheck"

    port: int = given(as_whole, placeholder=1)
    pings: int = given(as_whole, default=0)
    carried: Mapping[str, Any] = given(as_json_fields, default_factory=dict)

    def to_dict(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form."""
        del context
        rendered: dict[str, Any] = {"port": self.port}
        _pings_to(rendered, self.pings)
        return merged(rendered, self.carried)

    @classmethod
    def from_json(cls, document: Mapping[str, Any], *, owner: str = "") -> Self:
        """Return the check that an object of the REST API is."""
        del owner
        pings = read_number(read_table(document, "pingConfig"), "pingsCount")
        made = cls(port=read_number(document, "port"), pings=pings)
        return carrying(made, made.to_dict(RenderContext(project="")), document)

    def rules(self) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        yield from _port_rules(self.port, self.pings)


def _status(value: object) -> str:
    found = str(value).lower()
    if isinstance(value, bool) or not _STATUS.fullmatch(found):
        raise ValueError(f'{value!r} is no status | Write for example 200, "2xx" or "any"')
    return found


def _headers(value: object) -> Mapping[str, Setting]:
    if not isinstance(value, Mapping):
        raise TypeError(f'{value!r} is not a table of headers | Write {{"Accept": "text/html"}}')
    return {str(name): as_secret(item) for name, item in value.items()}


@definition
class HTTP(Definition):
    """A check that asks for a page.

    Attributes:
        path: of the page.
        method: ``get`` or ``post``.
        tls: whether by HTTPS.
        validate_certificate: whether a bad certificate is a failure.
        port: 443 or 80 when not given.
        headers: at most 100; one with credentials comes from `env` or `secret`, and then all are kept masked.
        body: what is posted, at most 1 MB.
        content_type: of the body; ``application/x-www-form-urlencoded`` when empty.
        username: of basic authentication.
        password: of basic authentication, from `env` or `secret`.
        identity_token: whether to send an OIDC token of the monitoring service agent.
        statuses: which statuses are good, e.g. 200, ``"2xx"`` or ``"any"``; 200 to 299 when not given.
        pings: so many ICMP pings beside it, at most 3.
        carried: fields of the REST API that this model does not know.
    """

    noun: ClassVar[str] = "HTTP check"
    json_field: ClassVar[str] = "httpCheck"

    path: str = given(as_text, default="/")
    method: str = given(one_of(Method), default=Method.GET)
    tls: bool = given(as_flag, default=True)
    validate_certificate: bool = given(as_flag, default=True)
    port: int | None = given(as_whole, default=None)
    headers: Mapping[str, Setting] = given(_headers, default_factory=dict, is_shown=False)
    body: str = given(as_text, default="")
    content_type: str = given(as_text, default="")
    username: Setting | None = given(as_secret, default=None, is_shown=False)
    password: Setting | None = given(as_secret, default=None, is_shown=False)
    identity_token: bool = given(as_flag, default=False)
    statuses: Sequence[int | str] = given(many(int, str, parse=_status), default=())
    pings: int = given(as_whole, default=0)
    carried: Mapping[str, Any] = given(as_json_fields, default_factory=dict)

    @property
    def secrets(self) -> tuple[Setting, ...]:
        """What is read from the environment or from Secret Manager."""
        every = (*self.headers.values(), self.username, self.password)
        return tuple(each for each in every if each is not None and not isinstance(each, str))

    def to_dict(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form.

        Raises:
            DefinitionError: an environment variable or a secret that it needs is missing.
        """
        rendered: dict[str, Any] = {
            "requestMethod": _METHODS[Method(self.method)],
            "path": self.path,
            "useSsl": self.tls,
            "validateSsl": self.validate_certificate and self.tls,
        }
        if self.port is not None:
            rendered["port"] = self.port
        if self.headers:
            rendered["headers"] = {name: read_setting(value, context) for name, value in self.headers.items()}
            if not all(isinstance(value, str) for value in self.headers.values()):
                rendered["maskHeaders"] = True
        if self.method == Method.POST:
            rendered["contentType"] = "USER_PROVIDED" if self.content_type else "URL_ENCODED"
        if self.content_type:
            rendered["customContentType"] = self.content_type
        if self.body:
            rendered["body"] = base64.b64encode(self.body.encode()).decode()
        credentials = {"username": self.username, "password": self.password}
        if self.username is not None or self.password is not None:
            known = {name: value for name, value in credentials.items() if value is not None}
            rendered["authInfo"] = {name: read_setting(value, context) for name, value in known.items()}
        if self.identity_token:
            rendered["serviceAgentAuthentication"] = {"type": "OIDC_TOKEN"}
        if self.statuses:
            rendered["acceptedResponseStatusCodes"] = [_status_json(str(each)) for each in self.statuses]
        _pings_to(rendered, self.pings)
        return merged(rendered, self.carried)

    @classmethod
    def from_json(cls, document: Mapping[str, Any], *, owner: str = "") -> Self:
        """Return the check that an object of the REST API is.

        Args:
            document: the object's JSON.
            owner: the uptime check's id; what the API masks is read from environment variables named after it.
        """
        prefix = owner.replace("-", "_").upper()
        environ: dict[str, str] = {}

        def hidden(name: str, value: str) -> EnvVar:
            variable = re.sub(r"\W", "_", f"{prefix}_{name}".upper())
            environ[variable] = value or "-"
            return EnvVar(variable)

        credentials, headers = read_table(document, "authInfo"), read_table(document, "headers")
        texts = {name: value for name, value in headers.items() if isinstance(value, str)}
        is_masked = read_flag(document, "maskHeaders")
        statuses = [_status_of(item) for item in read_items(document, "acceptedResponseStatusCodes")]
        made = cls(
            path=read_text(document, "path", "/"),
            method=read_choice(document, "requestMethod", _METHODS) or Method.GET,
            tls=read_flag(document, "useSsl"),
            validate_certificate=read_flag(document, "validateSsl"),
            port=read_number(document, "port", None),
            headers={name: hidden(name, value) for name, value in texts.items()} if is_masked else texts,
            body=_decoded(read_text(document, "body")),
            content_type=read_text(document, "customContentType"),
            username=read_text(credentials, "username") or None,
            password=hidden("password", read_text(credentials, "password")) if "password" in credentials else None,
            identity_token=read_table(document, "serviceAgentAuthentication").get("type") == "OIDC_TOKEN",
            statuses=[each for each in statuses if each] if all(statuses) else (),
            pings=read_number(read_table(document, "pingConfig"), "pingsCount"),
        )
        return carrying(made, made.to_dict(RenderContext(project="", environ=environ)), document)

    def rules(self) -> Iterator[tuple[str, str]]:
        """Return what breaks the platform's rules."""
        yield from _port_rules(self.port, self.pings)
        if not self.path.startswith("/"):
            yield f"path is {self.path!r}, must start with /", f'Write path="/{self.path}"'
        if len(self.headers) > _MOST_HEADERS:
            yield f"there are {len(self.headers)} headers, at most {_MOST_HEADERS} are allowed", "Send fewer"
        for name, value in self.headers.items():
            if isinstance(value, str) and name.lower() in _CREDENTIALS:
                yield f"header {name} is a secret and stands in the file", f'Write headers={{"{name}": env("NAME")}}'
        if isinstance(self.password, str):
            yield "password is a secret and stands in the file", 'Read it from the environment: password=env("NAME")'
        if (self.username is None) != (self.password is None):
            yield "basic authentication needs both username= and password=", "Give username=… and password=…"
        if self.identity_token and self.username is not None:
            yield "identity_token= and username= exclude each other", "Leave out one of them"
        yield from self._body_rules()

    def _body_rules(self) -> Iterator[tuple[str, str]]:
        if self.method == Method.GET and (self.body or self.content_type):
            yield "a GET request has no body", 'Write method="post", or leave out body= and content_type='
        if len(self.body.encode()) > _LONGEST_BODY:
            yield f"the body has {len(self.body.encode())} bytes, at most {_LONGEST_BODY} are allowed", "Post less"
        if any(name.lower() == "content-type" for name in self.headers):
            yield "headers= has a Content-Type", "Write content_type=… instead"


def _status_json(text: str) -> dict[str, Any]:
    return {"statusValue": int(text)} if text.isdigit() else {"statusClass": f"STATUS_CLASS_{text.upper()}"}


def _status_of(item: Mapping[str, Any]) -> str:
    value = read_number(item, "statusValue", None)
    found = str(int(value)) if value is not None else read_text(item, "statusClass").removeprefix("STATUS_CLASS_")
    return found.lower() if _STATUS.fullmatch(found) else ""


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:
        return ""
