from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

import obskit
from obskit.config import Config
from obskit.signals import reports
from obskit.signals.redaction import Redactor
from obskit.signals.reports import ErrorReport


@pytest.fixture
def reported() -> Iterator[list[ErrorReport]]:
    found: list[ErrorReport] = []
    reports.configure(Config(service_name="shop", service_version="3"), Redactor())
    reports.set_sink(found.append)
    yield found
    reports.set_sink(None)


def test_an_exception_is_reported_once(reported: list[ErrorReport]) -> None:
    """The same exception, reported again, makes no second report."""
    try:
        raise ValueError("token=abc123 for jane@example.com")
    except ValueError as error:
        obskit.report_error(error, order="o-1", password="x")
        obskit.report_error()
    (report,) = reported
    assert (report.type, report.service, report.version) == ("ValueError", "shop", "3")
    assert report.stack_trace.startswith("Traceback (most recent call last)")
    assert report.location is not None
    assert (report.location.file, report.location.function) == (__file__, "test_an_exception_is_reported_once")
    assert report.labels == {"order": "o-1", "password": "[REDACTED]"}
    for secret in ("abc123", "jane"):
        assert secret not in repr(report)
    assert report.raised == ()


def test_a_message_is_reported_from_where_it_is_said(reported: list[ErrorReport]) -> None:
    """A report without an exception has its place, user and text."""
    obskit.report_error(message="stock is negative", user="u-1")
    (report,) = reported
    assert (report.type, report.message, report.user, report.stack_trace) == ("", "stock is negative", "u-1", "")
    assert report.location is not None
    assert report.location.function == "test_a_message_is_reported_from_where_it_is_said"


def test_the_chain_goes_along_for_sentry_only(reported: list[ErrorReport]) -> None:
    """Sentry's event needs every frame, so there they are where there is a DSN, without the variables in them."""
    reports.configure(Config(sentry_dsn="https://k@example.org/1"), Redactor())

    class Big:
        pass

    held: list[weakref.ref[Big]] = []

    def fail() -> None:
        local = Big()
        held.append(weakref.ref(local))
        raise KeyError("the cause, key=AIzaSyA-1234567890abcdefghijklmnopqrstuv")

    try:
        try:
            fail()
        except KeyError as cause:
            raise ValueError("x") from cause
    except ValueError as error:
        obskit.report_error(error)
    first, second = reported[0].raised
    assert (first.type, first.text, first.source) == ("ValueError", "x", "")
    assert (second.type, second.source, second.frames[-1].function) == ("KeyError", "__cause__", "fail")
    assert "AIza" not in second.text
    gc.collect()
    assert held[0]() is None


def test_hostile_exceptions_are_reported(reported: list[ErrorReport]) -> None:
    """An exception whose `str()` raises, or that takes no attributes, is reported; a sink that raises is survived."""

    class Hostile(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

        def __setattr__(self, name: str, value: object) -> None:
            raise RuntimeError("no")

    obskit.report_error(Hostile())
    assert "str() raised" in reported[0].message

    def broken(_report: ErrorReport) -> None:
        raise RuntimeError("sink")

    reports.set_sink(broken)
    obskit.report_error(ValueError("y"))


def test_nothing_happens_without_a_sink() -> None:
    """Before `instrument` a report goes nowhere and does no harm."""
    reports.set_sink(None)
    obskit.report_error(ValueError("x"))
