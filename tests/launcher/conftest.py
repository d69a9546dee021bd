"""A checkout in miniature: one locked package without dependencies, installed offline."""

from __future__ import annotations

import base64
import hashlib
import sys
import zipfile
from pathlib import Path

import pytest

from launcher.environment import Environment, Plan
from launcher.layout import Layout

PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "miniature"
version = "1.0"
"""

# A build backend with nothing to download: it writes the wheel by hand.
BACKEND = """\
import zipfile


def build_editable(folder, config_settings=None, metadata_directory=None):
    info = "miniature-1.0.dist-info/"
    files = {
        info + "METADATA": "Metadata-Version: 2.1\\nName: miniature\\nVersion: 1.0\\n",
        info + "WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    record = "".join(f"{name},,\\n" for name in files) + info + "RECORD,,\\n"
    name = "miniature-1.0-py3-none-any.whl"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        for path, text in {**files, info + "RECORD": record}.items():
            wheel.writestr(path, text)
    return name
"""


def write_wheel(folder: Path, name: str) -> str:
    """Write a wheel with one empty module and return its SHA-256."""
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        rows.append(f"{path},sha256={digest.decode()},{len(text)}\n")
    files[f"{info}/RECORD"] = "".join(rows) + f"{info}/RECORD,,\n"
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


@pytest.fixture
def miniature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A checkout whose only lock holds the package `tinypkg`, found in a folder of wheels."""
    root = tmp_path / "checkout"
    wheels = tmp_path / "wheels"
    (root / "requirements").mkdir(parents=True)
    wheels.mkdir()
    (root / "pyproject.toml").write_text(PYPROJECT)
    (root / "backend.py").write_text(BACKEND)
    digest = write_wheel(wheels, "tinypkg")
    (root / "requirements" / "tiny.lock").write_text(f"tinypkg==1.0 --hash=sha256:{digest}\n")
    # A uv that no index here offers: set-up has to go on with pip.
    (root / "requirements" / "uv.lock").write_text(f"uv==0.0.1 --hash=sha256:{digest}\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(wheels))
    return Layout(root)


def tiny_plan(layout: Layout, disk_bytes: int = 0) -> Plan:
    """The plan of the miniature: its lock, and no engine to warm."""
    return Plan("cpu", ((layout.requirements / "tiny.lock", True),), disk_bytes, warm=False)


def tiny_environment(layout: Layout) -> Environment:
    """The environment of the miniature."""
    return Environment(layout, tiny_plan(layout))


def stand_in_python(layout: Layout) -> None:
    """Make the Python that runs these tests the one of a checkout's environment."""
    layout.python.parent.mkdir(parents=True)
    # Not a link: a link into an environment would not find its packages.
    layout.python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    layout.python.chmod(0o755)
