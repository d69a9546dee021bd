"""Serves ``/v1/models`` and ``/metrics``, with an engine process beside it, like the real one."""

import argparse
import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from vllm.utils import system_utils

METRICS = """# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0"} 2.0
"""


def engine() -> None:
    """An engine process that would never end."""
    while True:
        time.sleep(1)


def stop_now(*_: Any) -> None:
    """End, status 0."""
    sys.exit(0)


def main() -> None:
    """Parse what is needed, fail as told, serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--served-model-name")
    given, _ = parser.parse_known_args()
    behaviour = os.environ.get("STAND_IN", "")
    if behaviour == "fail":
        raise ValueError("max_model_len is too large")
    if behaviour == "hang":
        time.sleep(60)
    mark = Path(os.environ.get("STAND_IN_MARK", "/"))
    if behaviour == "taken once" and not mark.exists():
        mark.touch()
        raise OSError(98, "Address already in use")
    worker = system_utils.get_mp_context().Process(target=engine, daemon=True)
    worker.start()
    signal.signal(signal.SIGTERM, signal.SIG_IGN if behaviour == "stubborn" else stop_now)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            model = {"data": [{"id": given.served_model_name}]}
            page = METRICS if self.path == "/metrics" else json.dumps(model)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(page.encode())

    HTTPServer(("127.0.0.1", given.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
