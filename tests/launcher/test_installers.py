"""What installers say, and what the launcher makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from launcher import installers
from launcher.refusal import Refusal


@pytest.mark.parametrize(
    ("said", "cure"),
    [
        ("error: failed to write: No space left on device (os error 28)", "make room"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "SHA-256"),
        ("error: Hash mismatch for `x==1`", "SHA-256"),
        ("client error (Connect)\n dns error: failed to lookup address", "connect to the network"),
        ("NewConnectionError: [Errno 101] Network is unreachable", "connect to the network"),
        ("ERROR: No matching distribution found for x==1", "configured index"),
        ("first\n\nstrange thing\n", "'strange thing'"),
        ("", "said nothing"),
    ],
)
def test_the_cause_is_named_with_its_cure(said: str, cure: str) -> None:
    assert cure in installers.cause(said)


def test_a_python_without_venv_is_refused_with_the_package_to_install() -> None:
    installers.check_venv_module((3, 12), installed=True)
    with pytest.raises(Refusal, match=r"apt install python3\.12-venv"):
        installers.check_venv_module((3, 12), installed=False)


def test_commands_carry_hashes_and_no_dependencies() -> None:
    python = Path("/env/bin/python")
    for installer in (installers.pip_installer(python), installers.uv_installer("uv", python)):
        command = installer.lock(Path("/r/cpu.lock"))
        assert {"--no-deps", "--require-hashes", "/r/cpu.lock"} <= set(command)
        pytorch = installer.lock(Path("/r/t.txt"), index="https://i.example", hashes=False)
        assert "https://i.example" in pytorch
        assert "--require-hashes" not in pytorch
        assert "--no-build-isolation" in installer.project(Path("/course"))


def test_a_uv_that_does_not_answer_is_no_uv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in = tmp_path / "uv"
    stand_in.write_text("#!/bin/sh\necho 'uv: no version is selected' >&2\nexit 127\n")
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert installers.find_uv() is None
