"""A server that gets ready while its caller does something else."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from course_lib.serving.vllm_server import VllmServer


class BackgroundServer:
    """Starts a server at once and lets the caller go on; `wait` gives it when it is ready.

    The thread that starts the server stays until the server has ended: the server asks the
    kernel to be killed when its parent dies, and on Linux its parent is that thread.

    Args:
        server: not yet started.
    """

    def __init__(self, server: VllmServer) -> None:
        self._server = server
        self._error: BaseException | None = None
        self._settled = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="course-server", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._server.start()
        except BaseException as error:  # noqa: BLE001 - raised again by `wait`
            self._error = error
            return
        finally:
            self._settled.set()
        self._closing.wait()
        self._server.stop()

    @property
    def ready(self) -> bool:
        """Whether the server answers."""
        return self._settled.is_set() and self._error is None

    def wait(self) -> VllmServer:
        """The server, once it is ready.

        Raises:
            ServerFailed: if it could not be started.
        """
        self._settled.wait()
        if self._error is not None:
            raise self._error
        return self._server

    def close(self) -> None:
        """Stop the server; one that is still starting is stopped when it is ready."""
        self._closing.set()
        self._thread.join()
