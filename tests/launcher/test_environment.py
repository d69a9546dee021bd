"""Set-up: from nothing, again, interrupted, refused."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from launcher import environment, installers, machine
from launcher.environment import MARK, UNFINISHED, course_environment, plan_for
from launcher.layout import Layout, here
from launcher.refusal import Refusal
from launcher.stamps import Stamps
from tests.launcher.conftest import tiny_environment, tiny_plan

ROOT = here().root


def path_with_uv(folder: Path) -> str:
    """A PATH on which uv is the environment's, wherever the tests were started from."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert uv, "the extra dev brings uv"
    folder.mkdir(exist_ok=True)
    with suppress(FileExistsError):
        (folder / "uv").symlink_to(uv)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture
def without_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has no uv."""
    monkeypatch.setattr(installers, "find_uv", lambda: None)


def has_tinypkg(layout: Layout) -> bool:
    return subprocess.run([layout.python, "-c", "import tinypkg"], check=False).returncode == 0


def test_uv_makes_it_and_a_second_call_starts_nothing(
    miniature: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", path_with_uv(miniature.root.parent / "bin"))
    tiny_environment(miniature).prepare()
    assert has_tinypkg(miniature)
    assert b"tinypkg" in miniature.setup_log.read_bytes()

    def no_process(*_: object, **__: object) -> int:
        raise AssertionError("a second call starts no process")

    monkeypatch.setattr("launcher.process.call", no_process)
    monkeypatch.setattr("launcher.process.read", no_process)
    again = tiny_environment(miniature)
    assert again.is_ready()
    again.prepare()


@pytest.mark.usefixtures("without_uv")
def test_pip_makes_it_where_uv_cannot_be_had(
    miniature: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_environment(miniature).prepare()
    assert has_tinypkg(miniature)
    assert "installing with pip" in capsys.readouterr().out


def test_a_changed_lock_is_installed_and_the_environment_kept(
    miniature: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", path_with_uv(miniature.root.parent / "bin"))
    tiny_environment(miniature).prepare()
    kept = miniature.venv / "kept"
    kept.touch()
    lock = miniature.requirements / "tiny.lock"
    lock.write_text(lock.read_text() + "# newer\n")
    assert not tiny_environment(miniature).is_ready()
    tiny_environment(miniature).prepare()
    assert tiny_environment(miniature).is_ready()
    assert kept.exists()


def test_an_environment_never_finished_is_made_anew(
    miniature: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", path_with_uv(miniature.root.parent / "bin"))
    miniature.venv.mkdir()
    (miniature.venv / MARK).touch()
    (miniature.venv / "half-made").touch()
    tiny_environment(miniature).prepare()
    assert has_tinypkg(miniature)
    assert not (miniature.venv / "half-made").exists()


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_half_a_package_left_by_a_killed_installer_is_made_whole(
    miniature: Layout, monkeypatch: pytest.MonkeyPatch, installer: str
) -> None:
    if installer == "uv":
        monkeypatch.setenv("PATH", path_with_uv(miniature.root.parent / "bin"))
    else:
        monkeypatch.setattr(installers, "find_uv", lambda: None)
    tiny_environment(miniature).prepare()
    for path in miniature.venv.glob("lib/python3*/site-packages/tinypkg.py"):
        path.unlink()
    Stamps(miniature.venv / "course-stamps.json").write("packages", UNFINISHED)
    assert not has_tinypkg(miniature)
    tiny_environment(miniature).prepare()
    assert has_tinypkg(miniature)


def test_an_environment_of_another_python_is_made_anew(
    miniature: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", path_with_uv(miniature.root.parent / "bin"))
    tiny_environment(miniature).prepare()
    (miniature.venv / "old").touch()
    stamps = miniature.venv / "course-stamps.json"
    stamps.write_text(stamps.read_text().replace("-python3.", "-python2."))
    tiny_environment(miniature).prepare()
    assert not (miniature.venv / "old").exists()
    assert tiny_environment(miniature).is_ready()


def test_somebody_elses_environment_is_left_alone(miniature: Layout) -> None:
    miniature.venv.mkdir()
    precious = miniature.venv / "precious"
    precious.touch()
    with pytest.raises(Refusal, match="not made by the course: move it away"):
        tiny_environment(miniature).prepare()
    assert precious.exists()


def test_a_wrong_hash_is_refused_and_leaves_no_stamp(
    miniature: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", path_with_uv(miniature.root.parent / "bin"))
    lock = miniature.requirements / "tiny.lock"
    right = lock.read_text()
    lock.write_text("tinypkg==1.0 --hash=sha256:" + "0" * 64 + "\n")
    with pytest.raises(Refusal, match="SHA-256"):
        tiny_environment(miniature).prepare()
    assert not tiny_environment(miniature).is_ready()
    assert not has_tinypkg(miniature)
    lock.write_text(right)
    tiny_environment(miniature).prepare()
    assert has_tinypkg(miniature)


def test_no_network_is_one_sentence_and_the_next_try_works(
    miniature: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", path_with_uv(miniature.root.parent / "bin"))
    wheels = os.environ["UV_FIND_LINKS"]
    nowhere = "http://127.0.0.1:9/simple"  # the discard port: nothing listens
    with monkeypatch.context() as offline:
        for name in ("UV_OFFLINE", "UV_FIND_LINKS", "PIP_NO_INDEX", "PIP_FIND_LINKS"):
            offline.delenv(name)
        offline.setenv("UV_DEFAULT_INDEX", nowhere)
        offline.setenv("UV_INDEX", nowhere)
        offline.setenv("UV_HTTP_RETRIES", "0")
        offline.setenv("PIP_CONFIG_FILE", os.devnull)
        with pytest.raises(Refusal, match="connect to the network"):
            tiny_environment(miniature).prepare()
    assert os.environ["UV_FIND_LINKS"] == wheels
    tiny_environment(miniature).prepare()
    assert has_tinypkg(miniature)


def test_a_full_disk_is_refused_before_anything_is_made(miniature: Layout) -> None:
    plan = tiny_plan(miniature, disk_bytes=1 << 60)
    with pytest.raises(Refusal, match="make room"):
        environment.Environment(miniature, plan).prepare()
    assert not miniature.venv.exists()


def test_an_unsupported_platform_is_refused_before_anything_is_made(
    miniature: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    with pytest.raises(Refusal, match="dev container"):
        tiny_environment(miniature).prepare()
    assert not miniature.venv.exists()
    assert not miniature.build.exists()


SET_UP = """
import os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from launcher import process
from launcher.environment import Environment, Plan
from launcher.layout import Layout
layout = Layout(Path(sys.argv[2]))
plan = Plan("cpu", ((layout.requirements / "tiny.lock", True),), 0, warm=False)
process.end_on_sigterm()
try:
    Environment(layout, plan).prepare()
except KeyboardInterrupt:
    sys.exit(130)
"""

SLOW_UV = """\
#!/bin/sh
case "$*" in
*tiny.lock*) echo $$ > "{note}"; sleep 60 ;;
esac
exec "{uv}" "$@"
"""


@pytest.mark.parametrize(
    ("sent", "status"),
    [(signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, 143)],
    ids=["kill", "ctrl-c", "term"],
)
def test_a_killed_setup_leaves_no_process_and_resumes(
    miniature: Layout, monkeypatch: pytest.MonkeyPatch, sent: signal.Signals, status: int
) -> None:
    fast = path_with_uv(miniature.root.parent / "bin")
    slow, note = miniature.root.parent / "slow", miniature.root.parent / "installing"
    slow.mkdir()
    uv = shutil.which("uv", path=fast)
    (slow / "uv").write_text(SLOW_UV.format(note=note, uv=uv))
    (slow / "uv").chmod(0o755)
    command = [sys.executable, "-c", SET_UP, str(ROOT), str(miniature.root)]
    env = {**os.environ, "PATH": f"{slow}{os.pathsep}{os.environ['PATH']}"}
    launcher = subprocess.Popen(command, env=env)
    installing = _wait_for_pid(note)
    launcher.send_signal(sent)
    assert launcher.wait(timeout=120) == status
    _wait_until_gone(installing)
    assert not tiny_environment(miniature).is_ready()

    monkeypatch.setenv("PATH", fast)
    tiny_environment(miniature).prepare()
    assert has_tinypkg(miniature)


def _wait_for_pid(note: Path) -> int:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if note.exists() and note.read_text().strip():
            return int(note.read_text())
        time.sleep(0.05)
    raise AssertionError("the installer did not start")


def _wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError("the installer outlived the launcher")


def test_the_cpu_plan_puts_torch_first_and_the_gpu_plan_has_one_lock() -> None:
    cpu = [lock.name for lock, _ in plan_for(here(), "cpu").locks]
    gpu = [lock.name for lock, _ in plan_for(here(), "gpu").locks]
    assert cpu == ["torch-cpu.txt", "cpu.lock"]
    assert gpu == ["gpu.lock"]
    assert machine.DISK_NEEDED["gpu"] > machine.DISK_NEEDED["cpu"]


def test_torch_is_looked_for_in_the_pytorch_index_at_last(
    miniature: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def only_pytorch(command: list[str], **_: object) -> int:
        asked.append([str(part) for part in command])
        return 0 if installers.TORCH_CPU_INDEX in asked[-1] else 1

    monkeypatch.setattr("launcher.process.call", only_pytorch)
    miniature.build.mkdir()
    made = tiny_environment(miniature)
    torch = miniature.requirements / "torch-cpu.txt"
    with miniature.setup_log.open("wb") as log:
        made._install_lock(installers.pip_installer(miniature.python), torch, False, log)
        other = miniature.requirements / "tiny.lock"
        with pytest.raises(Refusal):
            made._install_lock(installers.pip_installer(miniature.python), other, True, log)
    assert [installers.TORCH_CPU_INDEX in command for command in asked] == [False, True, False]


def test_what_runs_inside_sees_the_profile_and_no_foreign_python_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("VLLM_CACHE_ROOT", raising=False)
    env = course_environment(here(), "cpu")
    assert "PYTHONPATH" not in env
    assert env["COURSE_PROFILE"] == "cpu"
    assert env["HF_HUB_OFFLINE"] == "1"
    assert env["VLLM_CACHE_ROOT"].startswith(str(here().venv))
    assert "HF_HUB_OFFLINE" not in course_environment(here(), "gpu")
