"""Raw ASGI applications for uvicorn: peer:hello, peer:json_again, peer:echo, peer:wait; with FastAPI peer:fast_wait."""

import asyncio
import json

PLAIN = b"text/plain"


async def answer(send, kind, body):
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def whole(receive):
    body, more = b"", True
    while more:
        event = await receive()
        body += event.get("body", b"")
        more = event.get("more_body", False)
    return body


async def hello(scope, receive, send):
    await answer(send, PLAIN, b"Hello, World!")


async def json_again(scope, receive, send):
    body = await whole(receive)
    document = json.loads(body) if body else {}
    await answer(send, b"application/json", json.dumps(document, separators=(",", ":")).encode())


async def echo(scope, receive, send):
    await answer(send, b"application/octet-stream", await whole(receive))


async def wait(scope, receive, send):
    await asyncio.sleep(0.1)
    await answer(send, PLAIN, b"Hello, World!")


try:
    from fastapi import FastAPI
    from fastapi.responses import PlainTextResponse
except ImportError:
    pass
else:
    fast_wait = FastAPI()

    @fast_wait.get("/")
    async def fast_wait_root():
        await asyncio.sleep(0.1)
        return PlainTextResponse("Hello, World!")
