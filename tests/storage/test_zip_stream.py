"""An archive that is given up midway."""

import gc
import sys

import pytest

from image2model.storage.zip_stream import ZipStream


def give_up(size: int | None) -> None:
    """Leave an archive in the middle of an entry, in a cycle that only the garbage collector finds."""
    with ZipStream() as archive:
        archive.begin("a.glb", 0, size)
        archive.feed(b"abc")
    holder: list[object] = [archive]
    holder.append(holder)


@pytest.mark.parametrize("size", [None, 3, 1 << 40])
def test_an_archive_that_is_given_up_leaves_nothing_to_the_garbage_collector(
    size: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    unraisable: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    give_up(size)
    gc.collect()
    assert unraisable == []


def test_leaving_a_finished_archive_adds_nothing_to_it() -> None:
    with ZipStream() as archive:
        archive.begin("a.glb", 0, 3)
        archive.feed(b"abc")
        archive.finish()
    assert archive._sink.drain() == b""
