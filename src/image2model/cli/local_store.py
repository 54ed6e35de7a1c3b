"""Where the store is, for the commands of operators that talk to it themselves.

Who calls it: `doctor`, `keys`, `backup` and `restore`.
"""

from pathlib import Path
from urllib.parse import quote

from image2model.settings import Settings
from image2model.up.socket_path import socket_path
from image2model.up.store import store_folder


def store_url(settings: Settings) -> str | None:
    """I2M_REDIS_URL, or the store of an `up` that runs on the data folder; None where there is neither."""
    return settings.redis_url or _of_up(settings.data_dir)


def _of_up(data_dir: Path) -> str | None:
    path = socket_path(store_folder(data_dir))
    return f"unix://{quote(str(path))}" if path.exists() else None
