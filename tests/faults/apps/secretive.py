"""A service in FastAPI and Flask that is careless with secrets: it logs them, raises them and asks an AI about them."""

from __future__ import annotations

import logging
import os
from typing import Any

import flask
import httpx
from fastapi import FastAPI, Request

import obskit

fast, wsgi = FastAPI(), flask.Flask("secretive")
log, stdlib = obskit.get_logger("secretive"), logging.getLogger("secretive.stdlib")


class Rejected(Exception):
    """What quotes everything that it was given."""


def carry(secrets: dict[str, str], headers: list[tuple[str, str]], url: str, body: str) -> None:
    """Put each secret wherever telemetry looks."""
    obskit.bind(user_id=secrets["email"], session_id="s-1", note=f"paid with {secrets['card']}")
    log.info(
        f"calling with Bearer {secrets['bearer']}",
        api_key=secrets["key"],
        headers=dict(headers),
        cards=[secrets["card"]],
    )
    log.warning("connecting to %s", f"postgresql://app:{secrets['password']}@db:5432/shop", mail=secrets["email"])
    stdlib.info("headers %s of %s", headers, url, extra={"authorization": secrets["bearer"], "body": body})
    stdlib.warning({"jwt is": secrets["jwt"], "nested": {"Set-Cookie": secrets["cookie"]}})
    log.info("tokens", input_tokens=1200, max_tokens=500, usage={"gen_ai.usage.output_tokens": 80})
    with obskit.span(
        "inner", attributes={"db.url": f"redis://:{secrets['password']}@cache:6379", "note": secrets["jwt"]}
    ) as span:
        span.set_attribute("http.request.header.authorization", f"Bearer {secrets['bearer']}")
        span.set_attribute("seen", f"key {secrets['key']} and {secrets['email']}")
        span.add_event("saw", {"password": secrets["password"], "text": f"Cookie: a=1; sid={secrets['cookie']}"})
    try:
        httpx.get(f"http://u:{secrets['password']}@127.0.0.1:9/x?key={secrets['key']}&sig={secrets['opaque']}")
    except httpx.HTTPError as error:
        log.info("call failed", exc_info=error)


def fail(secrets: dict[str, str], headers: list[tuple[str, str]], url: str, body: str) -> None:
    """Raise an exception that quotes secrets, beside variables that hold them."""
    password, api_key, request = secrets["password"], secrets["key"], {"headers": headers, "cookies": secrets["cookie"]}
    try:
        raise ValueError(f"could not connect to mysql://root:{password}@db/x with key {api_key} for {secrets['email']}")
    except ValueError as error:
        text = (
            f"refused visible-marker: {headers} {url} {body} Authorization: Bearer {secrets['bearer']} {secrets['jwt']}"
        )
        raise Rejected(
            text, f"card {secrets['card']}", str(request["cookies"]) and f"Cookie: sid={secrets['cookie']}"
        ) from error


def ask(prompt: str) -> str:
    from google import genai

    client = genai.Client(api_key=os.environ["SECRET_KEY"], http_options={"base_url": os.environ["FAKE_GEMINI_URL"]})
    return str(client.models.generate_content(model="gemini-2.5-flash", contents=prompt).text)


def secrets_in_reach() -> dict[str, str]:
    return {name[7:].lower(): value for name, value in os.environ.items() if name.startswith("SECRET_")}


@fast.post("/careless/{name}")
async def careless(request: Request, name: str) -> dict[str, Any]:
    body = (await request.body()).decode()
    carry(secrets_in_reach(), request.headers.items(), str(request.url), body)
    return {"name": name}


@fast.post("/failing/{name}")
async def failing(request: Request, name: str) -> None:
    body = (await request.body()).decode()
    obskit.bind(contact=name)
    fail(secrets_in_reach(), request.headers.items(), str(request.url), body)


@fast.post("/asking")
def asking() -> dict[str, int]:
    return {"length": len(ask(os.environ["PROMPT"]))}


@wsgi.post("/careless/<name>")
def careless_too(name: str) -> dict[str, Any]:
    request = flask.request
    carry(secrets_in_reach(), list(request.headers), request.url, request.get_data(as_text=True))
    return {"name": name}


@wsgi.post("/failing/<name>")
def failing_too(name: str) -> dict[str, Any]:
    request = flask.request
    obskit.bind(contact=name)
    fail(secrets_in_reach(), list(request.headers), request.url, request.get_data(as_text=True))
    return {}


@wsgi.post("/asking")
def asking_too() -> dict[str, int]:
    return {"length": len(ask(os.environ["PROMPT"]))}


obskit.instrument({"fast": fast, "wsgi": wsgi}[os.environ["SECRETIVE_APP"]])
