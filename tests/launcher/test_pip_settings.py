"""pip's configuration reaches uv."""

from __future__ import annotations

import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher import pip_settings

LISTING = """\
:env:.cert='/etc/ca.crt'
:env:.find-links='/wheels'
global.extra-index-url='file:///a/simple https://b.example/simple'
global.find-links='/old'
install.index-url='https://mirror.example/simple'
global.default-timeout='180'
freeze.timeout='10'
"""


def test_later_scopes_override_earlier_ones() -> None:
    settings = pip_settings.parse(LISTING)
    assert settings["find-links"] == ["/wheels"]
    assert settings["extra-index-url"] == ["file:///a/simple", "https://b.example/simple"]
    assert "timeout" not in settings


def test_uv_gets_what_pip_has() -> None:
    assert pip_settings.uv_environment(pip_settings.parse(LISTING), {}) == {
        "UV_DEFAULT_INDEX": "https://mirror.example/simple",
        "UV_INDEX": "file:///a/simple https://b.example/simple",
        "UV_FIND_LINKS": "/wheels",
        "SSL_CERT_FILE": "/etc/ca.crt",
        "UV_HTTP_TIMEOUT": "180",
    }


def test_what_is_set_for_uv_is_kept() -> None:
    settings = {"find-links": ["/pip"]}
    assert pip_settings.uv_environment(settings, {"UV_FIND_LINKS": "/uv"}) == {}


def test_pip_itself_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", "/one /two")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    assert pip_settings.read_settings(sys.executable)["find-links"] == ["/one", "/two"]


def test_a_python_without_pip_leaves_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://x.example/simple")
    settings = pip_settings.read_settings("/no/such/python")
    assert settings["extra-index-url"] == ["https://x.example/simple"]


@given(st.text(max_size=200))
def test_any_listing_is_survived(listing: str) -> None:
    pip_settings.parse(listing)
