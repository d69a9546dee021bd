"""Stamps: written whole, believed only with their key."""

from __future__ import annotations

from pathlib import Path

from launcher.stamps import Stamps, digest


def test_a_stamp_holds_for_its_key_alone(tmp_path: Path) -> None:
    stamps = Stamps(tmp_path / "stamps.json")
    assert not stamps.holds("packages", "a")
    stamps.write("packages", "a")
    stamps.write("warm", "w")
    assert stamps.holds("packages", "a")
    assert not stamps.holds("packages", "b")
    stamps.write("packages", "b")
    assert not stamps.holds("packages", "a")
    assert stamps.holds("warm", "w")


def test_a_broken_file_is_no_stamp(tmp_path: Path) -> None:
    path = tmp_path / "stamps.json"
    for content in ('{"packages": "a', "[]", ""):
        path.write_text(content)
        assert not Stamps(path).holds("packages", "a")
        Stamps(path).write("packages", "a")
        assert Stamps(path).holds("packages", "a")


def test_the_key_follows_contents_and_words(tmp_path: Path) -> None:
    lock = tmp_path / "cpu.lock"
    lock.write_text("a==1")
    before = digest([lock], "3.11")
    assert digest([lock], "3.11") == before
    assert digest([lock], "3.12") != before
    lock.write_text("a==2")
    assert digest([lock], "3.11") != before
