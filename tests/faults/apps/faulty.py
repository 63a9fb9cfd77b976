"""One service in FastAPI, Starlette and Flask with everything in it that makes observing a request hard."""

from __future__ import annotations

import asyncio
import contextvars
import faulthandler
import functools
import logging
import os
import signal
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import flask
from fastapi import BackgroundTasks, FastAPI
from fastapi import WebSocket as FastWebSocket
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket
from werkzeug.middleware.dispatcher import DispatcherMiddleware

import obskit

if "FAULTY_ROOT_LEVEL" in os.environ:
    logging.basicConfig(level=os.environ["FAULTY_ROOT_LEVEL"])
faulthandler.register(signal.SIGRTMIN + 1, all_threads=True)  # where a request hangs, the soak asks what is going on
log = obskit.get_logger("faulty")
stdlib = logging.getLogger("faulty.stdlib")
pool = ThreadPoolExecutor(8)
CHUNKS = 4
CHUNK_S = 0.05
LARGE_BYTES = 40_000_000
# One of each for all processes, as some end without cleaning up.
FILE, LARGE_FILE = (
    Path(tempfile.gettempdir(), f"obskit-faulty-{os.getuid()}-{size}") for size in (3_000_000, LARGE_BYTES)
)
for file in (FILE, LARGE_FILE):
    file.touch()
    with file.open("r+b") as writing:
        writing.write(b"zzzz")
        writing.truncate(int(file.name.rpartition("-")[2]))


class Refused(Exception):
    """What the service has a handler for."""


# --------------------------------------------------------------------------- streams


def chunks(*, breaks: bool = False) -> Iterator[bytes]:
    for number in range(CHUNKS):
        with obskit.span(f"chunk {number}"):
            time.sleep(CHUNK_S)
        log.info("streaming", piece=number)
        yield b"%d\n" % number
        if breaks and number == 1:
            raise ValueError("broken in the middle")


async def async_chunks(*, breaks: bool = False) -> AsyncIterator[bytes]:
    for number in range(CHUNKS):
        with obskit.span(f"chunk {number}"):
            await asyncio.sleep(CHUNK_S)
        log.info("streaming", piece=number)
        yield b"%d\n" % number
        if breaks and number == 1:
            raise ValueError("broken in the middle")


def broken_at_once() -> Iterator[bytes]:
    raise ValueError("broken before the first piece")
    yield b""


def endless() -> Iterator[bytes]:
    while True:
        time.sleep(0.02)
        yield b"more\n" * 200


async def async_endless() -> AsyncIterator[bytes]:
    while True:
        await asyncio.sleep(0.02)
        yield b"more\n" * 200


# --------------------------------------------------------------------------- AI calls


@functools.cache
def gemini() -> Any:
    from google import genai

    return genai.Client(api_key="none", http_options={"base_url": os.environ["FAKE_GEMINI_URL"]})


async def ai_answer() -> dict[str, int]:
    answer = await gemini().aio.models.generate_content(model="gemini-2.5-flash", contents="one word, please")
    return {"tokens": answer.usage_metadata.total_token_count}


def ai_chunks() -> Iterator[bytes]:
    client = gemini()
    for chunk in client.models.generate_content_stream(model="gemini-2.5-flash", contents="a long story, please"):
        yield f"tokens={chunk.usage_metadata.candidates_token_count}\n".encode()


async def async_ai_chunks() -> AsyncIterator[bytes]:
    client = gemini()
    models = client.aio.models
    async for chunk in await models.generate_content_stream(model="gemini-2.5-flash", contents="a long story, please"):
        yield f"tokens={chunk.usage_metadata.candidates_token_count}\n".encode()


# --------------------------------------------------------------------------- work in many places


def note(number: int, where: str) -> None:
    with obskit.span(where, attributes={"number": number}):
        log.info("work", number=number, where=where)
        stdlib.info("work %d", number, extra={"number": number, "where": f"{where}, logging"})


async def note_slowly(number: int, where: str) -> None:
    await asyncio.sleep(number % 7 / 1000)
    note(number, where)


async def async_work(number: int) -> None:
    obskit.bind(user_id=f"user-{number}")
    note(number, "before")
    tasks = [asyncio.create_task(note_slowly(number, f"task {index}")) for index in range(2)]
    await asyncio.to_thread(note, number, "thread")
    context = contextvars.copy_context()
    await asyncio.get_running_loop().run_in_executor(pool, context.run, note, number, "executor")
    await asyncio.gather(*tasks)
    note(number, "after")


def sync_work(number: int) -> None:
    obskit.bind(user_id=f"user-{number}")
    note(number, "before")
    thread = threading.Thread(target=contextvars.copy_context().run, args=(note, number, "thread"))
    thread.start()
    time.sleep(number % 7 / 1000)
    pool.submit(contextvars.copy_context().run, note, number, "executor").result()
    thread.join()
    note(number, "after")


def fail_late() -> None:
    raise ValueError("after the response")


# --------------------------------------------------------------------------- FastAPI

fast = FastAPI()


@fast.get("/items/{item_id}")
async def _item(item_id: int) -> dict[str, int]:
    return {"item": item_id}


@fast.get("/stream")
async def _stream() -> StreamingResponse:
    return StreamingResponse(async_chunks())


@fast.get("/sync-stream")
def _sync_stream() -> StreamingResponse:
    return StreamingResponse(chunks())


@fast.get("/broken")
async def _broken() -> StreamingResponse:
    return StreamingResponse(async_chunks(breaks=True))


@fast.get("/broken-at-once")
async def _broken_at_once() -> StreamingResponse:
    return StreamingResponse(broken_at_once())


@fast.get("/large")
async def _large() -> Response:
    return Response(b"z" * LARGE_BYTES)


@fast.get("/file")
async def _file() -> FileResponse:
    return FileResponse(FILE)


@fast.get("/large-file")
async def _large_file() -> FileResponse:
    return FileResponse(LARGE_FILE)


@fast.get("/unavailable")
async def _unavailable() -> None:
    raise HTTPException(503)


@fast.get("/endless")
async def _endless() -> StreamingResponse:
    return StreamingResponse(async_endless())


@fast.get("/sync-endless")
def _sync_endless() -> StreamingResponse:
    return StreamingResponse(endless())


@fast.get("/slow")
async def _slow() -> dict[str, bool]:
    await asyncio.sleep(0.5)
    return {"ok": True}


@fast.get("/ai")
async def _ai() -> StreamingResponse:
    return StreamingResponse(async_ai_chunks())


@fast.get("/sync-ai")
def _sync_ai() -> StreamingResponse:
    return StreamingResponse(ai_chunks())


@fast.get("/ask")
async def _ask() -> dict[str, int]:
    return await ai_answer()


@fast.get("/work/{number}")
async def _work(number: int, background: BackgroundTasks) -> dict[str, int]:
    await async_work(number)
    background.add_task(note, number, "background")
    return {"number": number}


@fast.get("/sync-work/{number}")
def _sync_work(number: int, background: BackgroundTasks) -> dict[str, int]:
    sync_work(number)
    background.add_task(note, number, "background")
    return {"number": number}


@fast.get("/boom")
async def _boom() -> None:
    raise ValueError("boom")


@fast.get("/refused")
async def _refused() -> None:
    raise Refused("handled")


@fast.exception_handler(Refused)
async def _handle(_request: Request, _error: Refused) -> JSONResponse:
    return JSONResponse({"refused": True}, status_code=500)


@fast.get("/late")
async def _late(background: BackgroundTasks) -> dict[str, bool]:
    background.add_task(fail_late)
    return {"ok": True}


@fast.websocket("/ws-boom")
async def _ws_boom(socket: FastWebSocket) -> None:
    await s_ws_boom(socket)


@fast.websocket("/ws")
async def _ws(socket: FastWebSocket) -> None:
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)


@fast.post("/upload")
async def _upload(request: Request) -> dict[str, int]:
    return {"size": sum([len(piece) async for piece in request.stream()])}


fast_sub = FastAPI()


@fast_sub.get("/things/{thing_id}")
async def _thing(thing_id: str) -> dict[str, str]:
    return {"id": thing_id}


@fast_sub.get("/boom/{thing_id}")
async def _sub_boom(thing_id: str) -> None:
    raise ValueError(f"boom {thing_id}")


fast.mount("/sub", fast_sub)

# --------------------------------------------------------------------------- Starlette


async def echo(request: Request) -> Response:
    return JSONResponse(dict(request.path_params))


async def s_slow(_request: Request) -> Response:
    await asyncio.sleep(0.5)
    return JSONResponse({"ok": True})


async def s_work(request: Request) -> Response:
    number = request.path_params["number"]
    await async_work(number)
    return JSONResponse({"number": number}, background=BackgroundTask(note, number, "background"))


async def s_boom(_request: Request) -> Response:
    raise ValueError("boom")


async def s_refused(_request: Request) -> Response:
    raise Refused("handled")


async def s_upload(request: Request) -> Response:
    return JSONResponse({"size": sum([len(piece) async for piece in request.stream()])})


async def s_ws(socket: WebSocket) -> None:
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)


async def s_ws_boom(socket: WebSocket) -> None:
    await socket.accept()
    await socket.receive_text()
    raise ValueError("boom")


async def s_late(_request: Request) -> Response:
    return JSONResponse({"ok": True}, background=BackgroundTask(fail_late))


async def s_unavailable(_request: Request) -> Response:
    raise HTTPException(503)


async def s_handle(_request: Request, _error: Exception) -> Response:
    return JSONResponse({"refused": True}, status_code=500)


star = Starlette(
    routes=[
        Route("/items/{item_id:int}", echo),
        Route("/stream", lambda _request: StreamingResponse(async_chunks())),
        Route("/sync-stream", lambda _request: StreamingResponse(chunks())),
        Route("/broken", lambda _request: StreamingResponse(async_chunks(breaks=True))),
        Route("/broken-at-once", lambda _request: StreamingResponse(broken_at_once())),
        Route("/large", lambda _request: Response(b"z" * LARGE_BYTES)),
        Route("/file", lambda _request: FileResponse(FILE)),
        Route("/large-file", lambda _request: FileResponse(LARGE_FILE)),
        Route("/unavailable", s_unavailable),
        Route("/endless", lambda _request: StreamingResponse(async_endless())),
        Route("/sync-endless", lambda _request: StreamingResponse(endless())),
        Route("/slow", s_slow),
        Route("/ai", lambda _request: StreamingResponse(async_ai_chunks())),
        Route("/sync-ai", lambda _request: StreamingResponse(ai_chunks())),
        Route("/work/{number:int}", s_work),
        Route("/boom", s_boom),
        Route("/refused", s_refused),
        Route("/upload", s_upload, methods=["POST"]),
        Route("/late", s_late),
        WebSocketRoute("/ws", s_ws),
        WebSocketRoute("/ws-boom", s_ws_boom),
        Mount("/sub", app=Starlette(routes=[Route("/things/{thing_id}", echo), Route("/boom/{thing_id}", s_boom)])),
    ],
    exception_handlers={Refused: s_handle},
)

# --------------------------------------------------------------------------- Flask

wsgi = flask.Flask("faulty")
wsgi_sub = flask.Flask("sub")


@wsgi.get("/items/<int:item_id>")
def f_item(item_id: int) -> dict[str, int]:
    return {"item": item_id}


@wsgi.get("/stream")
def f_stream() -> flask.Response:
    return flask.Response(chunks())


@wsgi.get("/broken")
def f_broken() -> flask.Response:
    return flask.Response(chunks(breaks=True))


@wsgi.get("/sync-stream")
def f_sync_stream() -> flask.Response:
    return flask.Response(flask.stream_with_context(chunks()))


@wsgi.get("/sync-endless")
def f_sync_endless() -> flask.Response:
    return flask.Response(flask.stream_with_context(endless()))


@wsgi.get("/sync-ai")
def f_sync_ai() -> flask.Response:
    return flask.Response(flask.stream_with_context(ai_chunks()))


@wsgi.get("/broken-at-once")
def f_broken_at_once() -> flask.Response:
    return flask.Response(broken_at_once())


@wsgi.get("/large")
def f_large() -> flask.Response:
    return flask.Response(b"z" * LARGE_BYTES)


@wsgi.get("/file")
def f_file() -> flask.Response:
    return flask.send_file(FILE, mimetype="text/plain")


@wsgi.get("/large-file")
def f_large_file() -> flask.Response:
    return flask.send_file(LARGE_FILE, mimetype="text/plain")


@wsgi.get("/unavailable")
def f_unavailable() -> None:
    flask.abort(503)


@wsgi.get("/late")
def f_late() -> flask.Response:
    response = flask.jsonify({"ok": True})
    response.call_on_close(fail_late)
    return response


@wsgi.get("/endless")
def f_endless() -> flask.Response:
    return flask.Response(endless())


@wsgi.get("/ai")
def f_ai() -> flask.Response:
    return flask.Response(ai_chunks())


@wsgi.get("/work/<int:number>")
def f_work(number: int) -> flask.Response:
    sync_work(number)
    response = flask.jsonify({"number": number})
    response.call_on_close(lambda: note(number, "background"))
    return response


@wsgi.get("/boom")
def f_boom() -> str:
    raise ValueError("boom")


@wsgi.get("/refused")
def f_refused() -> str:
    raise Refused("handled")


@wsgi.errorhandler(Refused)
def f_handle(_error: Refused) -> tuple[dict[str, bool], int]:
    return {"refused": True}, 500


@wsgi.post("/upload")
def f_upload() -> dict[str, int]:
    return {"size": len(flask.request.get_data())}


@wsgi_sub.get("/things/<thing_id>")
def f_thing(thing_id: str) -> dict[str, str]:
    return {"id": thing_id}


@wsgi_sub.get("/boom/<thing_id>")
def f_sub_boom(thing_id: str) -> str:
    raise ValueError(f"boom {thing_id}")


wsgi.wsgi_app = DispatcherMiddleware(wsgi.wsgi_app, {"/sub": wsgi_sub.wsgi_app})  # type: ignore[method-assign]

obskit.instrument({"fast": fast, "star": star, "wsgi": wsgi}[os.environ["FAULTY_APP"]])
