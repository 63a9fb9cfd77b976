from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from typing import Any

import pytest

import obskit
from obskit.config import MAX_LINE_BYTES
from obskit.signals import consoles, context, logs, stdlib_logs
from obskit.signals.context import RequestState

Process = Callable[..., Any]


class Raises:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


class Hostile(dict[str, Any]):
    def items(self) -> Any:
        raise RuntimeError("no")


def cyclic() -> dict[str, Any]:
    fields: dict[str, Any] = {"a": 1}
    fields["self"] = fields
    fields["list"] = [fields, [fields]]
    return fields


def deep() -> Any:
    value: Any = "bottom"
    for _ in range(5000):
        value = [value]
    return value


HOSTILE = {
    "nan": float("nan"),
    "infinite": float("-inf"),
    "surrogate": "a\ud800b",
    "surrogate key": {"\udfff": 1},
    "raises": Raises(),
    "raises as key": {Raises(): 1},
    "cyclic": cyclic(),
    "deep": deep(),
    "hostile mapping": Hostile(a=1),
    "huge number": 10**5000,
    "bytes": b"\xff\x00",
    "object": object(),
    "class": Raises,
    "set": {1, 2},
    "line ends": "a\nb\r\u2028c",
    "escape codes": "\x1b[31mred\x00",
    "forged": '","severity":"CRITICAL"}\n{"severity":"CRITICAL"',
    "long list": list(range(100_000)),
    "wide": {str(number): number for number in range(50_000)},
}


def app_logger() -> logging.Logger:
    """Return a logger that pytest does not listen to: its own handler fails on what ours must survive."""
    logger = logging.getLogger("hostile")
    logger.propagate = False
    logger.handlers = [stdlib_logs.Handler()]
    return logger


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("name", list(HOSTILE))
@pytest.mark.parametrize("way", ["obskit", "stdlib", "message", "bound"])
def test_a_hostile_value_gives_one_valid_line(
    process: Process, capsys: pytest.CaptureFixture[str], name: str, way: str
) -> None:
    """Whatever is logged, by whatever way, exactly one line of valid JSON comes out, with its own severity."""
    process()
    value = HOSTILE[name]
    if way == "obskit":
        obskit.get_logger().info("event", value=value)
    elif way == "stdlib":
        app_logger().info("event", extra={"value": value})
    elif way == "message":
        app_logger().info(value)
    else:
        obskit.bind(value=value)
        obskit.get_logger().info("event")
        obskit.bind(value=None)
    text = capsys.readouterr().out
    assert text.count("\n") == 1
    assert "\x1b" not in text
    assert len(text.encode()) <= MAX_LINE_BYTES
    line = json.loads(text, parse_constant=pytest.fail)
    assert line["severity"] == "INFO"
    assert line["service"] == "shop"


@pytest.mark.parametrize(
    ("message", "args"),
    [("%d items", ("x",)), ("%s %s", ("one",)), ("100%", ("x",)), ("%s", (Raises(),)), ("%(a)s", ({},))],
)
def test_a_bad_format_shows_both_parts(
    process: Process, capsys: pytest.CaptureFixture[str], message: str, args: tuple[Any, ...]
) -> None:
    """A `%` format that does not fit its arguments loses neither, and prints nothing on stderr."""
    process()
    app_logger().warning(message, *args)
    obskit.get_logger().warning(message, *args)
    captured = capsys.readouterr()
    assert captured.err == ""
    both = [json.loads(line)["message"] for line in captured.out.splitlines()]
    assert len(both) == 2
    assert all(message in text for text in both)


def test_a_huge_message_is_cut_and_keeps_what_matters(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """A message of 400 KB becomes at most 256 KiB of valid JSON, marked as cut, with trace and severity."""
    process()
    with obskit.span("around"):
        obskit.get_logger().error("x" * 400_000 + "\x01" * 400_000, detail="y" * 400_000, n=1)
    text = capsys.readouterr().out
    assert len(text.encode()) <= MAX_LINE_BYTES
    line = json.loads(text)
    assert line["obskit_truncated"] is True
    assert line["severity"] == "ERROR"
    assert len(line["trace_id"]) == 32
    assert line["message"].startswith("xxxx")
    assert line["n"] == 1


def test_loggers_of_the_standard_library_come_out_alike(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """A record's level, logger, place, extra fields and exception become Cloud Logging's fields."""
    process()
    try:
        raise ValueError("token=abc123")
    except ValueError:
        logging.getLogger("app.db").exception(
            "failed %s", "here", extra={"table": "t", "password": "x", "severity": "no"}
        )
    line = lines(capsys)[0]
    assert (line["severity"], line["message"], line["logger"]) == ("ERROR", "failed here", "app.db")
    assert (line["table"], line["password"], line["severity_"]) == ("t", "[REDACTED]", "no")
    place = line["logging.googleapis.com/sourceLocation"]
    assert place["file"] == __file__
    assert place["function"].endswith("test_loggers_of_the_standard_library_come_out_alike")
    assert line["stack_trace"].startswith("Traceback (most recent call last)")
    assert "abc123" not in json.dumps(line)


def test_the_logger_has_structlogs_calling_convention(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """bind, unbind and new give loggers with their fields; each method has its severity; exception shows the stack."""
    process(log_level="debug")
    log = obskit.get_logger("app", a=1).bind(b=2)
    log.debug("one")
    log.unbind("a").warning("two %s", 2, c=3)
    log.new(d=4).critical("three")
    log.log(logging.INFO, "four")
    try:
        raise ValueError("five")
    except ValueError as error:
        log.exception("five")
        log.error("six", exc_info=error)
    found = lines(capsys)
    assert [line["severity"] for line in found] == ["DEBUG", "WARNING", "CRITICAL", "INFO", "ERROR", "ERROR"]
    assert (found[0]["a"], found[0]["b"], found[0]["logger"]) == (1, 2, "app")
    assert (found[1]["message"], found[1]["c"], "a" in found[1]) == ("two 2", 3, False)
    assert (found[2]["d"], "b" in found[2]) == (4, False)
    assert all("ValueError: five" in line["stack_trace"] for line in found[4:])
    assert found[0]["logging.googleapis.com/sourceLocation"]["function"].startswith("test_the_logger_has")


def test_the_level_holds_for_all(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """Below `log_level` nothing is written."""
    process(log_level="warning")
    obskit.get_logger().info("no")
    logging.getLogger("app").info("no")
    assert lines(capsys) == []


def test_servers_lines_come_out_once(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """A server's logger with a handler of its own, set before or after, writes one line in our format, no access line."""
    process()
    for name in ("uvicorn.error", "gunicorn.error", "uvicorn.access", "gunicorn.access"):
        logger = logging.getLogger(name)
        handler = logging.StreamHandler(sys.stderr)
        logger.addHandler(handler)
        level, logger.level = logger.level, logging.INFO
        logger.info("from %s", name)
        logger.removeHandler(handler)
        logger.setLevel(level)
    captured = capsys.readouterr()
    assert captured.err == ""
    assert [json.loads(line)["message"] for line in captured.out.splitlines()] == [
        "from uvicorn.error",
        "from gunicorn.error",
    ]


def test_the_development_servers_access_lines_make_way(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """Werkzeug logs requests and everything else through one logger; only the requests are left to obskit."""
    process()
    logger = logging.getLogger("werkzeug")
    logger.setLevel(logging.INFO)
    logger.info('%s - - [%s] "%s" %s %s', "127.0.0.1", "21/Nov/2026", "\x1b[33mGET /no HTTP/1.1\x1b[0m", "404", "-")
    logger.info(" * Running on http://127.0.0.1:5000")
    logger.setLevel(logging.NOTSET)
    assert [line["message"] for line in lines(capsys)] == [" * Running on http://127.0.0.1:5000"]


def test_colours_of_a_servers_message_are_left_out(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """A message that a server coloured for a terminal is plain text in a line."""
    process()
    logging.getLogger("werkzeug").warning("\x1b[31m\x1b[1mWARNING: %s\x1b[0m", "a development server")
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["message"] == "WARNING: a development server"


def test_a_terminal_handler_makes_way_and_others_stay(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """What `logging.basicConfig` has set writes no second line; a handler that writes elsewhere keeps its records."""
    kept: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(record.getMessage())

    keep, terminal = Keep(), logging.StreamHandler(sys.stderr)
    logging.getLogger().addHandler(keep)
    logging.getLogger().addHandler(terminal)
    process()
    logging.getLogger("app").warning("once")
    logging.getLogger().removeHandler(keep)
    captured = capsys.readouterr()
    assert (captured.err, len(captured.out.splitlines()), kept) == ("", 1, ["once"])


def test_structlog_comes_out_alike(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """structlog, where the app uses it and has not set it up, writes the same lines, with its own context."""
    process()
    import structlog

    structlog.contextvars.bind_contextvars(request="r-1")
    try:
        log = structlog.get_logger().bind(a=1)
        log.info("hello", password="x")
        log.debug("no")
        try:
            raise ValueError("no")
        except ValueError:
            log.exception("failed")
    finally:
        structlog.contextvars.clear_contextvars()
        structlog.reset_defaults()
    hello, failed = lines(capsys)
    assert (hello["message"], hello["severity"], hello["a"], hello["request"]) == ("hello", "INFO", 1, "r-1")
    assert hello["password"] == "[REDACTED]"
    assert failed["severity"] == "ERROR"
    assert "ValueError: no" in failed["stack_trace"]


def test_structlog_processors_end_a_list_of_ones_own(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """The public processors can end an app's own configuration, under any printing factory."""
    process()
    import structlog

    structlog.configure(
        processors=[structlog.processors.add_log_level, *logs.structlog_processors()],
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
    )
    try:
        structlog.get_logger().warning("own", b=2)
    finally:
        structlog.reset_defaults()
    line = lines(capsys)[0]
    assert (line["message"], line["severity"], line["b"]) == ("own", "WARNING", 2)


def test_a_terminal_gets_readable_lines(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """In the console format a line is for people: no JSON, no control characters from outside, secrets replaced."""
    process(log_format="console")
    obskit.get_logger().warning("careful\x1b[2J\nnext", user="a\x1b]0;x", password="x")
    text = capsys.readouterr().out
    assert text.count("\n") == 1
    assert "careful\\x1b[2J\\nnext" in text
    assert "\x1b[2J" not in text
    assert "WARNING" in text
    assert "password=\x1b[0m[REDACTED]" in text


def test_a_stack_is_readable_in_the_console() -> None:
    """An exception's stack stands below its line."""
    text = consoles.line("ERROR", "failed", {}, stack="Traceback:\n  here\nValueError: no\n")
    assert text.endswith("\nTraceback:\n  here\nValueError: no")


def test_the_export_threads_records_are_left_out(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """What libraries log while exporting is not written, or it would be exported in turn."""
    from opentelemetry import context as otel_context

    from obskit.signals.worker import suppressed

    process(log_level="debug")
    token = otel_context.attach(suppressed())
    logging.getLogger("urllib3").debug("no")
    otel_context.detach(token)
    logging.getLogger("urllib3").debug("yes")
    assert [line["message"] for line in lines(capsys)] == ["yes"]


def test_the_apps_own_handlers_are_spared_too(process: Process) -> None:
    """A handler that the app has put on the root logger gets no record of exporting either."""
    from opentelemetry import context as otel_context

    from obskit.signals.worker import suppressed

    kept: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(record.getMessage())

    keep = Keep()
    logging.getLogger().addHandler(keep)
    try:
        process(log_level="debug")
        token = otel_context.attach(suppressed())
        logging.getLogger("urllib3").debug("no")
        otel_context.detach(token)
        logging.getLogger("urllib3").debug("yes")
    finally:
        logging.getLogger().removeHandler(keep)
    assert "no" not in kept
    assert "yes" in kept


def test_lines_go_out_before_instrument_is_called(capsys: pytest.CaptureFixture[str]) -> None:
    """A logger works without any set-up."""
    logs.configure(logs.Config(log_format="json"), logs.Redactor())
    obskit.get_logger().info("early")
    assert lines(capsys)[0]["service"] == "unknown_service"


# --------------------------------------------------------------------------- lines that are put together from known parts


def test_both_ways_of_a_line_say_the_same(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """A line put together from known parts has the fields of one that is made from a record, in one place of the code."""
    process(environment="test")
    log = obskit.get_logger("app")
    fields: dict[str, Any] = {"text": "a-1", "n": 1, "share": 0.5, "yes": True, "none": None, "list": [1, {"a": "b"}]}
    fields |= {"long": "x" * 100, "mail": "to jane@example.com", "wide": "é\u2028", "quote": '"\\', "count_tokens": 5}
    with obskit.span("around"):
        for odd in ({}, {"password": "x"}):
            log.info("said 'twice'", **fields, **odd)
    quick, slow = lines(capsys)
    assert slow.pop("password") == "[REDACTED]"
    for line in (quick, slow):
        assert line.pop("time") == line.pop("timestamp")
    assert quick == slow
    assert quick["mail"] == "to [REDACTED]"
    assert quick["environment"] == "test"


def test_the_span_of_a_line_is_the_current_one(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """Inside a child span, in another thread's span, and after it again, a line has the ids of the span around it."""
    process()
    log = obskit.get_logger()
    state = RequestState()
    token = context.enter(state)
    seen = []
    try:
        for _ in range(2):
            with obskit.span("outer") as outer:
                log.info("outer")
                seen.append(outer.get_span_context())
                with obskit.span("inner") as inner:
                    log.info("inner")
                    seen.append(inner.get_span_context())
                log.info("outer again")
                seen.append(outer.get_span_context())
            log.info("none")
    finally:
        context.leave(token)
    found = lines(capsys)
    told = [(line["trace_id"], line["logging.googleapis.com/spanId"]) for line in found if line["message"] != "none"]
    assert told == [(f"{ids.trace_id:032x}", f"{ids.span_id:016x}") for ids in seen]
    assert ["trace_id" in line for line in found if line["message"] == "none"] == [False, False]


def test_bound_fields_are_those_of_the_moment(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """What is bound, changed and taken away shows on the next line, once; a line's own field goes first."""
    process()
    log = obskit.get_logger()
    token = context.enter(RequestState())
    try:
        for bound in ({"user_id": "u-1"}, {"user_id": "u-2", "items": [1]}, {"items": None}, {"token": "t"}):
            obskit.bind(**bound)
            log.info("same place", n=1)
        log.info("own", user_id="mine")
        items = [1]
        obskit.bind(items=items)
        log.info("before")
        items.append(2)
        log.info("after")
    finally:
        context.leave(token)
    obskit.bind(outside="yes")
    log.info("outside")
    obskit.bind(outside=None)
    log.info("nothing")
    text = capsys.readouterr().out
    found = [json.loads(line) for line in text.splitlines()]
    assert [line.get("user_id") for line in found] == ["u-1", "u-2", "u-2", "u-2", "mine", "u-2", "u-2", None, None]
    assert [line.get("items") for line in found[:4]] == [None, [1], None, None]
    assert found[3]["token"] == "[REDACTED]"
    assert [line["items"] for line in found[5:7]] == [[1], [1, 2]]
    assert [line.get("outside") for line in found[7:]] == ["yes", None]
    assert text.splitlines()[4].count("user_id") == 1


def test_one_place_may_say_different_things(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """One place that logs through several loggers, at several levels, with several texts, is not taken for one line."""
    process(log_level="debug")
    for name, level, text in (
        ("a", "info", "one"),
        ("b", "info", "one"),
        ("a", "error", "two"),
        ("a", "info", "x" * 50),
    ):
        getattr(obskit.get_logger(name), level)(text)
    found = [(line["logger"], line["severity"], line["message"]) for line in lines(capsys)]
    assert found == [("a", "INFO", "one"), ("b", "INFO", "one"), ("a", "ERROR", "two"), ("a", "INFO", "x" * 50)]


def test_a_place_that_is_gone_is_not_taken_for_another(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """Code that is made and thrown away again and again has its own place and text on each line."""
    process()
    for number in range(50):
        scope: dict[str, Any] = {"log": obskit.get_logger()}
        exec(compile("\n" * number + f"log.info('text {number}')", f"file{number}.py", "exec"), scope)
        del scope
    for number, line in enumerate(lines(capsys)):
        place = line["logging.googleapis.com/sourceLocation"]
        assert (line["message"], place["file"], place["line"]) == (
            f"text {number}",
            f"file{number}.py",
            str(number + 1),
        )


def test_settings_that_change_hold_for_known_places(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """A place that has logged before another set-up shows that set-up's service and redaction."""

    def say() -> None:
        obskit.get_logger().info("said", patient="p-1")

    for settings in ({"service_name": "one"}, {"service_name": "two", "redact_keys": "patient"}):
        handle = process(**settings)
        say()
        handle.shutdown(5)
    first, second = lines(capsys)
    assert (first["service"], first["patient"]) == ("one", "p-1")
    assert (second["service"], second["patient"]) == ("two", "[REDACTED]")


def test_a_field_of_a_setting_s_name_goes_first(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """An app's own `environment` stands in for the setting's, once."""
    process(environment="prod")
    obskit.get_logger().info("said", environment="mine")
    (text,) = capsys.readouterr().out.splitlines()
    assert text.count('"environment"') == 1
    assert json.loads(text)["environment"] == "mine"


def test_a_message_keeps_its_fields_line_ends(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """Line ends behind a message are left out, those of a field stay."""
    process()
    obskit.get_logger().info("said\n\n", text="kept\n")
    line = lines(capsys)[0]
    assert (line["message"], line["text"]) == ("said", "kept\n")


def test_places_that_say_the_same_are_told_apart(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    """Two places with one text keep their own lines in the code, whichever of them speaks."""
    process(service_name="s", log_format="json")
    log = obskit.get_logger("shop")
    capsys.readouterr()
    for _ in range(3):
        log.info("done")
        log.info("done")
    places = [each["logging.googleapis.com/sourceLocation"]["line"] for each in lines(capsys)]
    assert len(set(places)) == 2
    assert places == places[:2] * 3


def test_a_text_that_was_shown_is_still_a_secret_elsewhere(
    process: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is remembered of values holds for names that are no secrets only, and never for what holds one."""
    process(service_name="s", log_format="json")
    log = obskit.get_logger("shop")
    capsys.readouterr()
    text, key = "correct horse battery", "AIza" + "x" * 35
    for _ in range(2):
        log.info("seen", note=text, short="a", six="abc-def", other=key)
        log.info("seen", password=text, token="a", api_key="abc-def")
    shown = lines(capsys)
    assert [each.get("note") for each in shown] == [text, None] * 2
    assert [each.get("other") for each in shown] == ["[REDACTED]", None] * 2
    assert [(each["password"], each["token"], each["api_key"]) for each in shown[1::2]] == [("[REDACTED]",) * 3] * 2


@pytest.mark.parametrize("text", ['"', "a\\", "\x00\x1b", "\x85é", "\u2028", "\ud800", "", "12345", "a\nb", "123456\n"])
def test_short_texts_are_valid_json(process: Process, capsys: pytest.CaptureFixture[str], text: str) -> None:
    """The shortest texts, which are looked at least, come out as they were, on one line."""
    process(service_name="s", log_format="json")
    log = obskit.get_logger("shop")
    capsys.readouterr()
    log.info("seen", value=text)
    (line,) = lines(capsys)
    assert line["value"] == text.replace("\ud800", "\ufffd")
