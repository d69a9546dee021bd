"""A stand-in for an OpenAI-compatible server: speaks the wire protocol, has no model."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class StandIn:
    """How it behaves, and what it has seen.

    Attributes:
        token_s: seconds per token.
        capacity: requests answered at the same time; more get a 503. None is no bound.
        break_after: tokens after which it drops the connection; None is never.
        bodies: bodies of the requests, in order.
        most_at_once: greatest number of requests in flight so far.
        given_up: requests whose client went away.
    """

    token_s: float = 0.01
    capacity: int | None = None
    break_after: int | None = None
    port: int = 0
    bodies: list[dict[str, Any]] = field(default_factory=list)
    most_at_once: int = 0
    given_up: int = 0
    _active: int = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        size = int(head.split("content-length: ")[1].split("\r\n")[0])
        body = json.loads(await reader.readexactly(size))
        self.bodies.append(body)
        self._active += 1
        self.most_at_once = max(self.most_at_once, self._active)
        try:
            await self._answer(body, reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            self.given_up += 1
        finally:
            self._active -= 1
            writer.close()

    async def _answer(
        self, body: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self.capacity is not None and self._active > self.capacity:
            writer.write(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            await writer.drain()
            return
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        )
        for count in range(body["max_tokens"]):
            if count == self.break_after:
                return
            await asyncio.sleep(self.token_s)
            if reader.at_eof():
                raise ConnectionResetError
            event = {"choices": [{"text": "x"}]}
            writer.write(f"data: {json.dumps(event)}\n\n".encode())
            await writer.drain()
        usage = {"prompt_tokens": len(body["prompt"]), "completion_tokens": body["max_tokens"]}
        last = {"choices": [], "usage": usage}
        writer.write(f"data: {json.dumps(last)}\n\ndata: [DONE]\n\n".encode())
        await writer.drain()


@contextmanager
def serving(**behaviour: Any) -> Iterator[StandIn]:
    """A stand-in that listens on a free port, in a thread."""
    stand_in = StandIn(**behaviour)
    loop = asyncio.new_event_loop()
    ready, done = threading.Event(), asyncio.Event()

    async def serve() -> None:
        server = await asyncio.start_server(stand_in.handle, "127.0.0.1", 0)
        stand_in.port = server.sockets[0].getsockname()[1]
        ready.set()
        async with server:
            await done.wait()
            unfinished = asyncio.all_tasks() - {asyncio.current_task()}
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    ready.wait(5)
    try:
        yield stand_in
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(5)
