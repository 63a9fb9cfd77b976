"""When a server's certificate ends, whoever has signed it."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["days_left", "trusting"]

_DAY: Final = timedelta(days=1)
_UTC_TIME: Final = 0x17
_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0


def trusting() -> ssl.SSLContext:
    """Return a context that takes every certificate: who only wants to know when it ends does not judge it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def days_left(certificate: bytes, now: datetime) -> float:
    """Return how many days a certificate is still valid; below 0 when it is not any more.

    Args:
        certificate: in DER. The standard library reads only certificates that it has verified, hence this reader.
        now: with its time zone.

    Raises:
        ValueError: it is no certificate.
    """
    return (_not_after(certificate) - now) / _DAY


def _not_after(certificate: bytes) -> datetime:
    """Source: RFC 5280, section 4.1: Certificate, TBSCertificate and Validity."""
    _, outer, _ = _element(certificate, 0)
    _, fields, _ = _element(outer, 0)
    position = 0
    kind, _, after = _element(fields, position)
    if kind == _VERSION:
        position = after
    for _ in ("serialNumber", "signature", "issuer"):
        _, _, position = _element(fields, position)
    kind, validity, _ = _element(fields, position)
    if kind != _SEQUENCE:
        raise ValueError("the certificate has no validity")
    _, _, after = _element(validity, 0)
    kind, text, _ = _element(validity, after)
    form = "%y%m%d%H%M%SZ" if kind == _UTC_TIME else "%Y%m%d%H%M%SZ"
    return datetime.strptime(text.decode("ascii"), form).replace(tzinfo=UTC)


def _element(data: bytes, position: int) -> tuple[int, bytes, int]:
    """Return tag, content and end of the element of DER at a place."""
    try:
        tag, length = data[position], data[position + 1]
    except IndexError as error:
        raise ValueError("the certificate is cut off") from error
    start = position + 2
    if length & 0x80:
        size = length & 0x7F
        length = int.from_bytes(data[start : start + size], "big")
        start += size
    if start + length > len(data):
        raise ValueError("the certificate is cut off")
    return tag, data[start : start + length], start + length
