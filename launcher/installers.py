"""uv where it can be had, pip where not: one interface to both."""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from launcher import pip_settings, process
from launcher.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
_CAUSES: tuple[tuple[str, str], ...] = (
    (
        r"No space left on device|os error 28|Disk quota exceeded",
        "the disk is full: make room",
    ),
    (
        r"(?i)hash mismatch|DO NOT MATCH THE HASHES",
        "a package differs from its SHA-256 in the lock: clear the installer's cache "
        "(`uv cache clean`, `pip cache purge`) or look for a proxy that alters downloads",
    ),
    (
        r"(?i)dns error|resolve host|name resolution|name or service not known|unreachable"
        r"|connection refused|connection reset|failed to connect|NewConnectionError|timed out"
        r"|error sending request|client error \(Connect\)|certificate",
        "the packages could not be downloaded: connect to the network (behind a proxy set "
        "HTTPS_PROXY, behind a mirror configure pip)",
    ),
    (
        r"(?i)no matching distribution|no solution found|not found in the package registry"
        r"|no compatible|because .* was not found|has no wheels|there is no version of",
        "a package of the lock is not offered by the configured index or has no build for this "
        "machine: check `pip config list`, or connect to a complete index",
    ),
)


def cause(log: str) -> str:
    """What went wrong in an installer's output, and its cure; the end of the output if unknown."""
    for pattern, sentence in _CAUSES:
        if re.search(pattern, log):
            return sentence
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return f"the installer said {lines[-1]!r}" if lines else "the installer said nothing"


@dataclass(frozen=True)
class Installer:
    """A command that installs into one environment.

    Attributes:
        name: "uv" or "pip", for messages.
        command: what comes before the options, such as ``uv pip install --python …``.
        lenient: options that let every configured index offer a file; hashes decide.
        index_option: how a single index is named.
        again_option: makes it install what seems to be installed.
        env: variables to add to the process's own.
    """

    name: str
    command: tuple[str, ...]
    lenient: tuple[str, ...]
    index_option: str
    again_option: str
    env: Mapping[str, str] = field(default_factory=dict)

    def lock(self, lock: Path, *, index: str | None = None, hashes: bool = True) -> list[str]:
        """The command that installs a lock, without looking at dependencies."""
        return [
            *self.command,
            "--no-deps",
            *(self.lenient if index is None else (self.index_option, index)),
            *(["--require-hashes"] if hashes else []),
            "-r",
            str(lock),
        ]

    def project(self, root: Path) -> list[str]:
        """The command that installs the checkout itself, editable, with what is installed."""
        return [*self.command, "--no-deps", "--no-build-isolation", "-e", str(root)]

    def over_what_is_there(self) -> Installer:
        """The same, for an environment in which an installation was cut off."""
        return replace(self, command=(*self.command, self.again_option))

    def environment(self) -> dict[str, str]:
        """The variables to run the commands with."""
        return {**os.environ, **self.env}


def uv_installer(uv: str | Path, python: Path) -> Installer:
    """uv, made to heed pip's configuration."""
    settings = pip_settings.read_settings()
    return Installer(
        "uv",
        (str(uv), "pip", "install", "--python", str(python)),
        ("--index-strategy", "unsafe-best-match"),
        "--default-index",
        "--reinstall",
        pip_settings.uv_environment(settings, os.environ),
    )


def pip_installer(python: Path) -> Installer:
    """The environment's own pip."""
    quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
    return Installer(
        "pip", (str(python), "-m", "pip", "install"), (), "--index-url", "--force-reinstall", quiet
    )


def find_uv() -> str | None:
    """A uv on the PATH that answers (a version manager's stand-in may not)."""
    uv = shutil.which("uv")
    return uv if uv and process.read([uv, "--version"]) else None


def check_venv_module(version: tuple[int, int], installed: bool) -> None:
    """Refuse a Python that cannot put pip into an environment (Debian splits it off)."""
    if not installed:
        name = f"python{version[0]}.{version[1]}-venv"
        raise Refusal(
            f"This Python cannot make environments: run `apt install {name}`, or install uv, "
            "then run the same command again."
        )


def venv_command(folder: Path, *, with_pip: bool) -> Sequence[str]:
    """The command that makes an environment with the Python that runs the launcher."""
    options = [] if with_pip else ["--without-pip"]
    return [sys.executable, "-m", "venv", *options, str(folder)]
