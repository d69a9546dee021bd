"""After set-up everything works with the network off."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from launcher.environment import Environment, plan_for
from launcher.layout import here
from tests.packaging import offline

REACH_OUT = """
import socket
socket.create_connection(("192.0.2.1", 80), timeout=5)
"""

LOOP_BACK = """
import socket
with socket.create_server(("127.0.0.1", 0)) as server:
    socket.create_connection(server.getsockname(), timeout=5).close()
print("looped")
"""

GENERATE = """
import sys
from course_lib.backends import Sampling, open_engine
with open_engine(sys.argv[2]) as engine:
    (completion,) = engine.generate(["The city of"], Sampling(max_tokens=8, ignore_eos=True))
assert len(completion.token_ids) == 8
print("generated")
"""

COMMAND = """
import sys
sys.argv = ["course", "claims", "--json"]
from course_lib.cli import main
main()
"""

LAUNCH = """
import subprocess, sys
sys.exit(subprocess.call([sys.executable, "course", "claims", "--json"]))
"""


@pytest.fixture(params=["namespace", "refused sockets"])
def namespace(request: pytest.FixtureRequest) -> bool:
    """Both ways of having no network; the first where the system permits it."""
    wanted = request.param == "namespace"
    return wanted and offline.namespaces_permitted()


def run(program: str, namespace: bool, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program offline, with an empty home and an empty cache of models."""
    command = [*offline.command(program, namespace=namespace), *arguments]
    return subprocess.run(
        command, cwd=here().root, capture_output=True, text=True, timeout=240, check=False
    )


@pytest.fixture
def bare_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home without any download in it."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("COURSE_PROFILE", "cpu")


def test_the_outside_is_out_of_reach(namespace: bool) -> None:
    done = run(REACH_OUT, namespace)
    assert done.returncode != 0
    assert "unreachable" in done.stderr or "may not reach" in done.stderr


def test_loopback_is_there(namespace: bool) -> None:
    assert run(LOOP_BACK, namespace).stdout == "looped\n"


@pytest.mark.usefixtures("bare_home")
def test_the_command_works(namespace: bool) -> None:
    done = run(COMMAND, namespace)
    assert done.returncode == 0, done.stderr
    assert '"claim"' in done.stdout


@pytest.mark.slow
@pytest.mark.vllm
@pytest.mark.usefixtures("bare_home")
@pytest.mark.parametrize(("engine", "isolated"), [("transformers", False), ("vllm", True)])
def test_the_bundled_model_generates(engine: str, isolated: bool) -> None:
    done = run(GENERATE, isolated and offline.namespaces_permitted(), engine)
    assert "generated" in done.stdout, done.stderr[-2000:]


def test_a_second_call_of_the_launcher_needs_no_network(namespace: bool) -> None:
    if not Environment(here(), plan_for(here(), "cpu")).is_ready():
        pytest.skip("set-up is not finished: run ./course setup")
    done = run(LAUNCH, namespace)
    assert done.returncode == 0, done.stderr
    assert '"claim"' in done.stdout
