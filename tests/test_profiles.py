"""The profile says where the labs run, without loading anything heavy."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from course_lib import profiles

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_choice_made(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COURSE_PROFILE", "COURSE_MODEL", "COURSE_DRAFT_MODEL"):
        monkeypatch.delenv(name, raising=False)


def test_the_environment_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_PROFILE", "gpu")
    gpu = profiles.current()
    assert (gpu.name, gpu.device, gpu.dtype) == ("gpu", "cuda", "bfloat16")
    assert "/" in gpu.model
    assert not gpu.engine_options["enforce_eager"]


def test_an_unknown_profile_is_refused_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_PROFILE", "tpu")
    with pytest.raises(profiles.UnknownProfile, match=r"'tpu'.*cpu, gpu.*unset"):
        profiles.current()


def test_models_can_be_replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COURSE_PROFILE", "cpu")
    monkeypatch.setenv("COURSE_MODEL", str(tmp_path))
    monkeypatch.setenv("COURSE_DRAFT_MODEL", "some/draft")
    profile = profiles.current()
    assert (profile.model, profile.draft_model) == (str(tmp_path), "some/draft")


@pytest.mark.parametrize(
    ("device", "cpu_build", "expected"),
    [(False, False, "cpu"), (True, True, "cpu"), (True, False, "gpu"), (False, True, "cpu")],
)
def test_a_gpu_counts_only_with_software_that_can_use_it(
    monkeypatch: pytest.MonkeyPatch, device: bool, cpu_build: bool, expected: str
) -> None:
    monkeypatch.setattr(profiles, "_has_nvidia_device", lambda: device)
    monkeypatch.setattr(profiles, "_torch_is_cpu_build", lambda: cpu_build)
    assert profiles.current().name == expected


def test_options_of_a_profile_cannot_be_changed_by_accident() -> None:
    with pytest.raises(TypeError):
        profiles.current().engine_options["block_size"] = 1  # type: ignore[index]


def test_detection_loads_no_torch() -> None:
    code = (
        "import sys; from course_lib import profiles; profiles.current(); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
