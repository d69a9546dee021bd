"""pip's configuration, handed to uv, which does not read it.

A machine behind a mirror or with a folder of wheels is usually configured for pip alone.
"""

from __future__ import annotations

import ast
import os
import sys
from typing import TYPE_CHECKING

from launcher import process

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# pip's setting -> uv's variable, and what separates several values there.
_TO_UV = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "timeout": ("UV_HTTP_TIMEOUT", " "),
    "default-timeout": ("UV_HTTP_TIMEOUT", " "),
}
# A later scope overrides an earlier one (pip's documentation, "Configuration").
_SCOPES = ("global", "install", ":env:")


def parse(listing: str) -> dict[str, list[str]]:
    """Settings in the output of `pip config list`, each with its values in order.

    Lines look like ``global.find-links='/a /b'`` and ``:env:.cert='/etc/ca.crt'``.
    """
    found: dict[str, list[str]] = {}
    lines = [line.partition("=") for line in listing.splitlines() if "=" in line]
    for scope in _SCOPES:
        for key, _, literal in lines:
            if key.startswith(scope + "."):
                try:
                    value = str(ast.literal_eval(literal))
                except (SyntaxError, ValueError):
                    continue
                found[key.removeprefix(scope + ".")] = value.split()
    return found


def read_settings(python: str | Path = sys.executable) -> dict[str, list[str]]:
    """pip's settings on this machine: its files and its variables."""
    listing = process.read([python, "-m", "pip", "config", "list"])
    if listing is None:  # this Python has no pip: the variables are all that can be known
        listing = "\n".join(
            f":env:.{name.removeprefix('PIP_').lower().replace('_', '-')}={value!r}"
            for name, value in os.environ.items()
            if name.startswith("PIP_")
        )
    return parse(listing)


def uv_environment(settings: Mapping[str, list[str]], environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that make uv do what pip is configured to; those already set are kept."""
    chosen: dict[str, str] = {}
    for name, (variable, separator) in _TO_UV.items():
        values = settings.get(name)
        if values and variable not in environ:
            chosen[variable] = separator.join(values)
    return chosen
