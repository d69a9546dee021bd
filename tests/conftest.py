"""What holds for all tests: properties are judged by what they find, not by the clock."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("course", deadline=None)
settings.load_profile("course")
