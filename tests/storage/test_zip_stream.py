"""An archive that is given up midway."""

import gc
import sys
from collections.abc import Callable

import pytest

from image2model.storage.zip_stream import ZipStream


class ClientGone(Exception):
    pass


def give_up(feed: Callable[[ZipStream], object]) -> list[object]:
    """Leave an archive midway, in a cycle that the garbage collector finds, and return it in its list."""
    holder: list[object] = []
    with pytest.raises(ClientGone), ZipStream() as archive:
        holder += [archive, holder]
        feed(archive)
        raise ClientGone
    return holder


@pytest.mark.parametrize("size", [None, 3, 1 << 40])
def test_an_archive_that_is_given_up_leaves_nothing_to_the_garbage_collector(
    size: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    unraisable: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    holder = give_up(lambda archive: archive.begin("a.glb", 0, size) + archive.feed(b"abc"))
    del holder
    gc.collect()
    assert unraisable == []


def test_leaving_a_finished_archive_adds_nothing_to_it() -> None:
    with ZipStream() as archive:
        archive.begin("a.glb", 0, 3)
        archive.feed(b"abc")
        archive.finish()
    assert archive._sink.drain() == b""
