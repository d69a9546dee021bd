"""What this machine is: platform, processor features, memory, disk, GPU."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from launcher import process
from launcher.refusal import Refusal

GIB = 1 << 30
OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 13)
OLDEST_GLIBC = (2, 28)
PROFILES = ("cpu", "gpu")
DISK_NEEDED: dict[str, int] = {"cpu": 5 * GIB, "gpu": 16 * GIB}
# Names in /proc/cpuinfo -> the course's names. What each brings stands in doctor.py.
CPU_FEATURES = {
    "avx2": "avx2",
    "avx512f": "avx512f",
    "avx512_bf16": "avx512_bf16",
    "amx_bf16": "amx_tile",
    "neon": "asimd",
}


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA GPU: its name and memory in bytes."""

    name: str
    memory_bytes: int


def python_version() -> tuple[int, int]:
    """Major and minor version of the Python that runs the launcher."""
    return sys.version_info[0], sys.version_info[1]


def cpu_features(cpuinfo: str) -> dict[str, bool]:
    """Which of `CPU_FEATURES` the text of /proc/cpuinfo names."""
    words: set[str] = set()
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            words.update(value.split())
    return {name: flag in words for name, flag in CPU_FEATURES.items()}


def read_cpu_features() -> dict[str, bool]:
    """The features of this machine's processor; none where Linux does not tell."""
    path = Path("/proc/cpuinfo")
    return cpu_features(path.read_text(errors="replace") if path.exists() else "")


def memory_bytes() -> tuple[int, int]:
    """Total and available memory in bytes; zeros where the system does not tell."""
    found = {"MemTotal": 0, "MemAvailable": 0}
    path = Path("/proc/meminfo")
    for line in path.read_text().splitlines() if path.exists() else []:
        key, _, value = line.partition(":")
        if key in found:
            found[key] = int(value.split()[0]) * 1024
    return found["MemTotal"], found["MemAvailable"]


def free_disk_bytes(folder: Path) -> int:
    """Bytes that a user can still write in `folder`'s file system."""
    return shutil.disk_usage(folder).free


def gpus() -> list[Gpu]:
    """The NVIDIA GPUs that nvidia-smi lists; empty without it."""
    query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    found = []
    for line in (process.read(query) or "").splitlines():
        name, _, mebibytes = line.rpartition(",")
        if mebibytes.strip().isdigit():
            found.append(Gpu(name.strip(), int(mebibytes) << 20))
    return found


def glibc_version() -> tuple[int, int] | None:
    """Version of the GNU C library, or None on a system without it (musl, macOS)."""
    name, version = platform.libc_ver()
    if name != "glibc":
        return None
    major, minor, *_ = version.split(".")
    return int(major), int(minor)


def choose_profile(asked: str | None) -> str:
    """The profile to set up: `asked`, else COURSE_PROFILE, else what the machine has.

    Raises:
        Refusal: the name is not a profile.
    """
    name = asked or os.environ.get("COURSE_PROFILE")
    if not name:
        return "gpu" if gpus() else "cpu"
    if name not in PROFILES:
        raise Refusal(f"There is no profile {name!r}: set COURSE_PROFILE to cpu or gpu.")
    return name


def check_python(version: tuple[int, int]) -> None:
    """Refuse a Python that the locks do not cover."""
    if not OLDEST_PYTHON <= version <= NEWEST_PYTHON:
        raise Refusal(
            f"Python {version[0]}.{version[1]} does not fit: install Python 3.11, 3.12 or 3.13 "
            "and start the launcher with it, for example `python3.12 course run`."
        )


def check_platform(system: str, processor: str, glibc: tuple[int, int] | None) -> None:
    """Refuse a platform that vLLM has no package for, and say what works there."""
    if system != "Linux":
        way = "WSL 2" if system == "Windows" else "the dev container (.devcontainer/)"
        raise Refusal(
            f"vLLM has no package for {system}: open the course in {way}, where everything "
            "works; here you can read the theory and the notebooks."
        )
    if processor not in ("x86_64", "aarch64"):
        raise Refusal(
            f"vLLM has no package for {processor} processors: use a Linux machine with an "
            "x86-64 or 64-bit Arm processor."
        )
    if glibc is None or glibc < OLDEST_GLIBC:
        found = "another C library" if glibc is None else f"glibc {glibc[0]}.{glibc[1]}"
        raise Refusal(
            f"This system has {found}, and the packages need glibc 2.28 or newer: use Debian 11, "
            "Ubuntu 20.04 or later, or the dev container (.devcontainer/)."
        )


def check_disk(free_bytes: int, needed_bytes: int, folder: Path) -> None:
    """Refuse to begin an installation that cannot fit."""
    if free_bytes < needed_bytes:
        raise Refusal(
            f"Set-up needs {needed_bytes / GIB:.0f} GiB in {folder}, and {free_bytes / GIB:.1f} "
            "GiB are free: make room, then run the same command again."
        )
