"""A service with many routes that calls other services, in FastAPI and in Flask."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import aiohttp
import flask
import httpx
import requests
from fastapi import FastAPI
from opentelemetry import propagate

import obskit

fast = FastAPI()
wsgi = flask.Flask("trusting")
ROUTES = 600


def call(library: str, url: str) -> int:
    if library == "httpx":
        return httpx.get(url, follow_redirects=True).status_code
    return requests.get(url, timeout=5).status_code


def injected() -> dict[str, str]:
    """Return what any other instrumentation would send on."""
    headers: dict[str, str] = {}
    propagate.inject(headers)
    return headers


async def async_call(library: str, url: str) -> int:
    if library == "aiohttp":
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return response.status
    if library == "async httpx":
        async with httpx.AsyncClient(follow_redirects=True) as client:
            return (await client.get(url)).status_code
    return call(library, url)


@fast.get("/items/{item_id}")
async def _item(item_id: int) -> dict[str, int]:
    return {"item": item_id}


@fast.get("/inject")
async def _inject() -> dict[str, str]:
    return injected()


@fast.get("/boom")
async def _boom() -> None:
    raise ValueError("boom")


@fast.get("/call")
async def _call(library: str, url: str) -> dict[str, int]:
    return {"status": await async_call(library, url)}


@fast.get("/call-many/{count}")
def _call_many(count: int) -> dict[str, int]:
    with httpx.Client() as client:
        for number in range(count):
            with contextlib.suppress(httpx.HTTPError):
                client.get(f"http://127.0.{1 + number // 250}.{1 + number % 250}:9/")
    return {"count": count}


@wsgi.get("/items/<int:item_id>")
def f_item(item_id: int) -> dict[str, int]:
    return {"item": item_id}


@wsgi.get("/inject")
def f_inject() -> dict[str, str]:
    return injected()


@wsgi.get("/boom")
def f_boom() -> str:
    raise ValueError("boom")


@wsgi.get("/call")
def f_call() -> dict[str, int]:
    return {"status": call(flask.request.args["library"], flask.request.args["url"])}


def add_route(number: int) -> None:
    def answer() -> Any:
        return {"route": number}

    fast.add_api_route(f"/routes/{number}", answer)
    wsgi.add_url_rule(f"/routes/{number}", f"route-{number}", answer)


for route in range(ROUTES):
    add_route(route)

obskit.instrument({"fast": fast, "wsgi": wsgi}[os.environ["TRUSTING_APP"]])
