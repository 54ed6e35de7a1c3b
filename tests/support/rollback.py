"""A durable store that comes back with an older copy of its file, as after an operator's restore.

Who calls it: tests of what was kept in memory of the newer one.
"""

import shutil
from pathlib import Path

import pytest

from image2model.up.store import EmbeddedStore

_FILE = "appendonlydir"


class Rollback:
    """Belongs to one store. `save` and `restore` stop the server and start it again at the same address."""

    def __init__(self, store: EmbeddedStore, folder: Path) -> None:
        self.store = store
        self._copy = folder / "copy"

    def save(self) -> None:
        """Keep a copy of what the store has now."""
        self.store.stop()
        shutil.copytree(self.store.folder / _FILE, self._copy)
        self.store.start(patience=5)

    def restore(self) -> None:
        """The store comes back with the copy."""
        self.store.stop()
        shutil.rmtree(self.store.folder / _FILE)
        shutil.copytree(self._copy, self.store.folder / _FILE)
        self.store.start(patience=5)


@pytest.fixture
def rollback(durable_store: EmbeddedStore, tmp_path: Path) -> Rollback:
    """Of the test's own server."""
    return Rollback(durable_store, tmp_path)
