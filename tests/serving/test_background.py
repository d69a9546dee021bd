"""A server that starts while its caller goes on."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, cast

import pytest

from course_lib.serving.background import BackgroundServer

if TYPE_CHECKING:
    from course_lib.serving.vllm_server import VllmServer


class Server:
    """Starts when it is let, and remembers in which thread."""

    def __init__(self, error: Exception | None = None) -> None:
        self.may_start = threading.Event()
        self.error = error
        self.threads: list[threading.Thread] = []
        self.stopped = False

    def start(self) -> None:
        self.may_start.wait(5)
        self.threads.append(threading.current_thread())
        if self.error:
            raise self.error

    def stop(self) -> int:
        self.stopped = True
        return 0


def test_the_caller_goes_on_until_it_waits() -> None:
    server = Server()
    background = BackgroundServer(cast("VllmServer", server))
    ready = [background.ready]
    server.may_start.set()
    assert background.wait() is cast("VllmServer", server)
    ready.append(background.ready)
    assert ready == [False, True]
    background.close()
    assert server.stopped


def test_the_thread_that_started_the_server_lives_as_long_as_it() -> None:
    server = Server()
    server.may_start.set()
    background = BackgroundServer(cast("VllmServer", server))
    background.wait()
    assert server.threads[0].is_alive()
    background.close()
    assert not server.threads[0].is_alive()


def test_a_failed_start_is_told_by_wait_and_close_is_harmless() -> None:
    server = Server(ValueError("no such model"))
    server.may_start.set()
    background = BackgroundServer(cast("VllmServer", server))
    with pytest.raises(ValueError, match="no such model"):
        background.wait()
    background.close()
    assert not server.stopped
