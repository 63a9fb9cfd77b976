"""Libraries: followed, present and not followed, and those that have silently stopped working."""

from __future__ import annotations

from doctoring import FASTAPI_APP


def package(write, name: str, version: str, *, module: str = "", requires: str = "", entry: str = "") -> None:
    """Write a package with its metadata, as an installer would."""
    folder = f"{name.replace('-', '_')}-{version}.dist-info"
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    write(f"{folder}/METADATA", text + (f"Requires-Dist: {requires}\n" if requires else ""))
    if entry:
        write(f"{folder}/entry_points.txt", f"[opentelemetry_instrumentor]\n{entry} = {entry}:Instrumentor\n")
    if module:
        write(f"{module}.py", f"__version__ = {version!r}\n")


def test_every_followed_library_is_really_patched(doctor):
    """With the versions that the tests run on, nothing that obskit follows is missing a point."""
    found = doctor("--no-send").one("libraries", "followed")
    for name in ("httpx", "httpx2", "requests", "aiohttp", "grpcio", "google-genai"):
        assert f"{name} " in found["text"]


def test_a_client_whose_shape_has_changed_is_shouted(doctor, write):
    """A library that has moved the method which obskit replaces is a problem for an app that uses it."""
    write("main.py", "import httpx\ndel httpx.HTTPTransport\n" + FASTAPI_APP)
    found = doctor("main:app", "--no-send")
    assert (found.code, found.bad) == (1, ["libraries: httpx"])
    assert "IS NOT RECORDED: HTTPTransport.handle_request" in found.one("libraries", "httpx")["text"]


def test_an_ai_sdk_whose_shape_has_changed_is_shouted(doctor, write):
    """google-genai without the private method of a round is recorded in part, and that is a problem."""
    write("main.py", "from google.genai import models\ndel models.Models._generate_content\n" + FASTAPI_APP)
    found = doctor("main:app", "--no-send")
    assert found.code == 1
    assert "only the last one's usage is seen" in found.of("libraries", "google-genai")[0]["text"]


def test_an_ai_sdk_that_nobody_records_is_a_warning_where_it_is_used(doctor, write):
    """An SDK without support is named when the app imports it; one that lies idle is a remark."""
    package(write, "cohere", "9.9", module="cohere")
    package(write, "mistralai", "1.0", module="mistralai")
    write("main.py", "import cohere\n" + FASTAPI_APP)
    found = doctor("main:app", "--no-send")
    assert found.code == 0
    used, idle = found.one("libraries", "unrecorded ai"), found.one("libraries", "idle ai")
    assert (used["state"], "cohere 9.9" in used["text"]) == ("warning", True)
    assert "record_usage" in used["way_out"]
    assert (idle["state"], "mistralai 1.0" in idle["text"]) == ("info", True)


def test_an_sdk_that_has_become_another_is_shouted(doctor, write):
    """A version in which obskit finds none of the places that it knows is named, with what is not recorded."""
    package(write, "anthropic", "9.9", module="anthropic")
    write("main.py", "import anthropic\n" + FASTAPI_APP)
    found = doctor("main:app", "--no-send").of("libraries", "anthropic")
    assert any("anthropic 9.9 IS NOT RECORDED in full: SyncAPIClient.request" in each["text"] for each in found)


def test_an_instrumentation_whose_pin_makes_it_a_no_op_is_shouted(doctor, write):
    """OpenTelemetry's own package that demands an older SDK does nothing, and says nothing; the doctor does."""
    package(
        write,
        "opentelemetry-instrumentation-google-genai",
        "0.7b0",
        requires='google-genai<3,>=1.32 ; extra == "instruments"',
        entry="google_genai",
    )
    write(
        "main.py",
        FASTAPI_APP,
    )
    found = doctor("main:app", "--no-send").one("libraries", "opentelemetry-instrumentation-google-genai")
    assert found["state"] == "warning"
    assert "SILENTLY DOES NOTHING: it wants google-genai" in found["text"]


def test_libraries_that_are_switched_off_are_said_to_be(doctor):
    """instrument_clients=false is no trouble, and no silence either."""
    found = doctor("--no-send", OBSKIT_INSTRUMENT_CLIENTS="false")
    assert "instrument_clients is off" in found.one("libraries", "httpx")["text"]
    assert "google-genai" in found.one("libraries", "followed")["text"]
