"""What holds for every test."""

from __future__ import annotations

from hypothesis import settings

# A shared machine may be ten times slower for a moment: how long an example takes proves nothing.
settings.register_profile("course", deadline=None)
settings.load_profile("course")
