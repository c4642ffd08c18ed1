"""Where files lie where nobody says otherwise."""

from __future__ import annotations

from pathlib import Path


def default_model_path(data_dir: Path | None = None) -> Path:
    """That of the data folder; else ``./models`` where it exists, else that of the user's data folder."""
    here = Path("models")
    if data_dir is None and here.is_dir():
        return here.resolve()
    return (data_dir or user_folder()) / "models"


def user_model_path() -> Path:
    """The models folder where nothing else is said and the working folder has none."""
    return user_folder() / "models"


def user_folder() -> Path:
    """The user's folder for the data of this program."""
    from platformdirs import user_data_path

    return user_data_path("fluid-server", appauthor=False)
