"""One uptime check, made from this machine: a request, or a connection, within its time.

Only this machine is asked, by its loopback addresses, unless other ones are allowed: a check is an object that
anybody with access to the API can make, and a definition may name any host. Redirects are not followed.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from obskit.local.notify import is_loopback
from obskit.local.uptime.certificates import days_left, trusting
from obskit.local.uptime.matching import content_fault, is_good_status, is_slow
from obskit.queries.backtracking import EXPLOSIVE

__all__ = ["Outcome", "not_checked", "probe"]

_MOST_BYTES: Final = {"httpCheck": 4 * 1024 * 1024, "tcpCheck": 1024 * 1024}  # Source: ContentMatcher
_AGENT: Final = "obskit-local uptime check"


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What became of a check.

    Attributes:
        is_passed: whether the answer was the one wanted, in time.
        reason: why not.
        status: of HTTP, None without an answer.
        latency_ms: until the answer was there, None without one.
        is_mismatch: whether the content was another one.
        days: for which the server's certificate is still valid, None without TLS.
    """

    is_passed: bool = False
    reason: str = ""
    status: int | None = None
    latency_ms: float | None = None
    is_mismatch: bool = False
    days: float | None = field(default=None)


def not_checked(check: Mapping[str, Any], *, is_outside_allowed: bool) -> str:
    """Return why a check is not made here, empty where it is."""
    if "syntheticMonitor" in check:
        return "not checked here: a synthetic monitor is a function in Google Cloud"
    resource = check.get("monitoredResource") or {}
    if resource.get("type") != "uptime_url":
        return f"not checked here: {resource.get('type') or 'a group'} is not on this machine"
    host = str((resource.get("labels") or {}).get("host") or "")
    if not is_loopback(host) and not is_outside_allowed:
        return f"not checked here: {host} is not on this machine"
    if is_slow(check.get("contentMatchers") or ()):
        return f"not checked here: {EXPLOSIVE}"
    return ""


def probe(check: Mapping[str, Any], *, is_outside_allowed: bool = False) -> Outcome:
    """Make an uptime check and return what became of it; it raises nothing.

    Args:
        check: in the REST API's JSON, of the resource ``uptime_url``.
        is_outside_allowed: whether other machines are asked too.
    """
    reason = not_checked(check, is_outside_allowed=is_outside_allowed)
    if reason:
        return Outcome(reason=reason)
    host = str(check["monitoredResource"]["labels"]["host"]).strip("[]")
    timeout_s = float(str(check.get("timeout") or "10s").removesuffix("s"))
    outcome, began = Outcome(), time.monotonic()
    line = _Line(began + timeout_s)
    try:
        if "httpCheck" in check:
            _ask(line, host, check, outcome, is_outside_allowed=is_outside_allowed)
        else:
            _connect(line, host, check, outcome, is_outside_allowed=is_outside_allowed)
    except (OSError, http.client.HTTPException, ValueError) as error:
        late = time.monotonic() - began >= timeout_s
        told = f"no answer within {timeout_s:g} s" if late else f"{type(error).__name__}: {error}"
        outcome.is_passed, outcome.reason = False, told
    finally:
        line.close()
    return outcome


class _Line:
    """A connection with an end: a socket's own timeout begins anew with every byte, this one does not."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.sock: socket.socket | None = None
        self._watchdog = threading.Timer(max(0.0, deadline - time.monotonic()), self._abort)
        self._watchdog.daemon = True
        self._watchdog.start()

    @property
    def left_s(self) -> float:
        """Seconds until the end."""
        return max(0.001, self.deadline - time.monotonic())

    def open(self, host: str, port: int, *, is_outside_allowed: bool) -> socket.socket:
        """Connect; the address that a name stands for is looked at, not the name alone."""
        if self.sock is not None:
            self.sock.close()
        problem: OSError = OSError(f"{host} has no address")
        for address in _addresses(host, port):
            if not is_outside_allowed and not ipaddress.ip_address(address).is_loopback:
                problem = OSError(f"{host} is {address}, which is not on this machine")
                continue
            try:
                self.sock = socket.create_connection((address, port), timeout=self.left_s)
            except OSError as error:
                problem = error
            else:
                return self.sock
        raise problem

    def secure(self, context: ssl.SSLContext, host: str) -> ssl.SSLSocket:
        """Shake hands over the connection."""
        if self.sock is None:
            raise OSError("there is no connection")
        secured = context.wrap_socket(self.sock, server_hostname=host, do_handshake_on_connect=False)
        self.sock = secured  # before the handshake, so that it can be cut off
        secured.settimeout(self.left_s)
        secured.do_handshake()
        return secured

    def close(self) -> None:
        """Close the connection."""
        self._watchdog.cancel()
        if self.sock is not None:
            self.sock.close()

    def _abort(self) -> None:
        if self.sock is not None:
            with contextlib.suppress(OSError):  # it was closed in this moment, which is what was wanted
                # Of the transport: the one of a TLS socket takes its state away from who reads at this moment.
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror:
        if not is_loopback(host):
            raise
        return ["127.0.0.1", "::1"]  # Source: RFC 6761, 6.3: every name below localhost is this machine
    return list(dict.fromkeys(str(each[4][0]) for each in found))


# ------------------------------------------------------------------ TCP


def _connect(line: _Line, host: str, check: Mapping[str, Any], outcome: Outcome, *, is_outside_allowed: bool) -> None:
    began = time.monotonic()
    sock = line.open(host, int(check["tcpCheck"]["port"]), is_outside_allowed=is_outside_allowed)
    outcome.latency_ms = (time.monotonic() - began) * 1000
    matchers = check.get("contentMatchers") or ()
    body = b""
    while matchers and len(body) < _MOST_BYTES["tcpCheck"]:
        sock.settimeout(line.left_s)
        piece = sock.recv(65_536)
        if not piece or not content_fault(body := body + piece, matchers):
            break
    outcome.reason = content_fault(body, matchers)
    outcome.is_mismatch = bool(outcome.reason)
    outcome.is_passed = not outcome.reason


# ------------------------------------------------------------------ HTTP


def _ask(line: _Line, host: str, check: Mapping[str, Any], outcome: Outcome, *, is_outside_allowed: bool) -> None:
    asked = check["httpCheck"]
    is_tls = bool(asked.get("useSsl"))
    port = int(asked.get("port") or (443 if is_tls else 80))
    began = time.monotonic()
    if is_tls and asked.get("validateSsl"):
        _verify(line, host, port, outcome, is_outside_allowed=is_outside_allowed)
    sock = line.open(host, port, is_outside_allowed=is_outside_allowed)
    if is_tls:
        sock = secured = line.secure(trusting(), host)
        outcome.days = _days(secured)
    sock.settimeout(line.left_s)
    with contextlib.closing((http.client.HTTPSConnection if is_tls else http.client.HTTPConnection)(host, port)) as to:
        to.sock = sock
        path = str(asked.get("path") or "/")
        body = base64.b64decode(asked["body"]) if asked.get("body") else None
        method = str(asked.get("requestMethod") or "GET")
        to.request(method, path if path.startswith("/") else f"/{path}", body, _headers(asked))
        answer = to.getresponse()
        content = answer.read(_MOST_BYTES["httpCheck"])
        answer.close()
    outcome.latency_ms, outcome.status = (time.monotonic() - began) * 1000, answer.status
    if time.monotonic() >= line.deadline:  # the watchdog has cut it off
        raise TimeoutError("the answer was not complete in time")
    if not is_good_status(answer.status, asked.get("acceptedResponseStatusCodes") or ()):
        outcome.reason = f"HTTP {answer.status}"
        return
    outcome.reason = content_fault(content, check.get("contentMatchers") or ())
    outcome.is_mismatch = bool(outcome.reason)
    outcome.is_passed = not outcome.reason


def _headers(asked: Mapping[str, Any]) -> dict[str, str]:
    headers = {"User-Agent": _AGENT, "Connection": "close"}
    kind = str(asked.get("contentType") or "")
    if kind == "URL_ENCODED":
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    elif kind == "USER_PROVIDED":
        headers["Content-Type"] = str(asked.get("customContentType") or "")
    headers |= {str(name): str(value) for name, value in (asked.get("headers") or {}).items()}
    if basic := asked.get("authInfo"):
        pair = f"{basic.get('username', '')}:{basic.get('password', '')}".encode()
        headers["Authorization"] = "Basic " + base64.b64encode(pair).decode("ascii")
    return headers


def _verify(line: _Line, host: str, port: int, outcome: Outcome, *, is_outside_allowed: bool) -> None:
    """Shake hands as a browser does; a server with a bad certificate is asked nothing, but when it ends is known."""
    line.open(host, port, is_outside_allowed=is_outside_allowed)
    try:
        line.secure(ssl.create_default_context(), host).close()
    except ssl.SSLCertVerificationError as error:
        line.open(host, port, is_outside_allowed=is_outside_allowed)
        outcome.days = _days(line.secure(trusting(), host))
        raise OSError(f"the certificate is not valid: {error.verify_message}") from error


def _days(sock: ssl.SSLSocket) -> float:
    return days_left(sock.getpeercert(binary_form=True) or b"", datetime.now(UTC))
