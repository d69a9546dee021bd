"""Which model a backend loads, checked before anything heavy is imported."""

from __future__ import annotations

from pathlib import Path

from course_lib import profiles


class ModelMissing(FileNotFoundError):
    """There is no model at the given place."""


def model_source(model: str | None) -> str:
    """Folder or hub name to load; the profile's model if ``model`` is None.

    Raises:
        ModelMissing: if it is an absolute path, or begins with a dot, and has no config.json.
    """
    source = model or profiles.current().model
    is_folder = Path(source).is_absolute() or source.startswith(".")
    if is_folder and not (Path(source) / "config.json").is_file():
        raise ModelMissing(
            f"no model in the folder {source}: it has no config.json. The course's own models "
            "come with the package; COURSE_MODEL names another folder or a hub name."
        )
    return source
