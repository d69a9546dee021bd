"""What the launcher knows about machines, and which it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from launcher import machine
from launcher.machine import Gpu
from launcher.refusal import Refusal

X86 = "processor\t: 0\nflags\t\t: fpu avx2 avx512f amx_tile\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd bf16\n"


def test_cpu_features_of_intel_and_arm() -> None:
    intel = machine.cpu_features(X86)
    assert intel == {
        "avx2": True,
        "avx512f": True,
        "avx512_bf16": False,
        "amx_bf16": True,
        "neon": False,
    }
    arm = machine.cpu_features(ARM)
    assert arm["neon"]
    assert not arm["avx2"]
    assert not any(machine.cpu_features("").values())


def test_this_machine_has_memory() -> None:
    total, available = machine.memory_bytes()
    assert total > available > 0


def test_gpus_as_nvidia_smi_lists_them(monkeypatch: pytest.MonkeyPatch) -> None:
    listing = "NVIDIA H100 80GB HBM3, 81559\nNVIDIA L4, 23034"
    monkeypatch.setattr("launcher.process.read", lambda *_: listing)
    assert machine.gpus() == [
        Gpu("NVIDIA H100 80GB HBM3", 81559 << 20),
        Gpu("NVIDIA L4", 23034 << 20),
    ]
    monkeypatch.setattr("launcher.process.read", lambda *_: None)
    assert machine.gpus() == []


def test_the_profile_is_asked_for_set_or_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COURSE_PROFILE", raising=False)
    monkeypatch.setattr(machine, "gpus", list)
    assert machine.choose_profile(None) == "cpu"
    monkeypatch.setattr(machine, "gpus", lambda: [Gpu("L4", 1)])
    assert machine.choose_profile(None) == "gpu"
    monkeypatch.setenv("COURSE_PROFILE", "cpu")
    assert machine.choose_profile(None) == "cpu"
    assert machine.choose_profile("gpu") == "gpu"
    monkeypatch.setenv("COURSE_PROFILE", "tpu")
    with pytest.raises(Refusal, match="cpu or gpu"):
        machine.choose_profile(None)


@pytest.mark.parametrize("version", [(3, 9), (3, 10), (3, 14), (2, 7)])
def test_wrong_pythons_are_refused(version: tuple[int, int]) -> None:
    with pytest.raises(Refusal, match=r"install Python 3\.11, 3\.12 or 3\.13"):
        machine.check_python(version)


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_right_pythons_pass(version: tuple[int, int]) -> None:
    machine.check_python(version)


@pytest.mark.parametrize(
    ("system", "processor", "glibc", "cure"),
    [
        ("Darwin", "arm64", None, "dev container"),
        ("Windows", "AMD64", None, "WSL 2"),
        ("Linux", "riscv64", (2, 36), "x86-64 or 64-bit Arm"),
        ("Linux", "x86_64", None, "glibc 2.28"),
        ("Linux", "x86_64", (2, 17), "glibc 2.28"),
    ],
)
def test_wrong_platforms_are_refused_with_a_cure(
    system: str, processor: str, glibc: tuple[int, int] | None, cure: str
) -> None:
    with pytest.raises(Refusal, match=cure):
        machine.check_platform(system, processor, glibc)


@pytest.mark.parametrize("processor", ["x86_64", "aarch64"])
def test_linux_on_both_processors_passes(processor: str) -> None:
    machine.check_platform("Linux", processor, (2, 28))


def test_too_little_disk_is_refused() -> None:
    machine.check_disk(6 * machine.GIB, 5 * machine.GIB, Path("/x"))
    with pytest.raises(Refusal, match=r"needs 5 GiB in /x, and 4\.0 GiB are free"):
        machine.check_disk(4 * machine.GIB, 5 * machine.GIB, Path("/x"))
