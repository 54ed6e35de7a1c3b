"""Names of objects: made and read back by one module."""

from image2model.storage import layout
from image2model.storage.objects import check_key, check_prefix


def test_every_name_is_a_key_and_says_whose_it_is() -> None:
    names = {
        layout.original("j1", "i1", "jpg"): layout.ORIGINALS,
        layout.ResultNames("j1", "i1", flat=True).key("model", "glb"): layout.RESULTS,
        layout.ResultNames("j1", "i1", flat=False).key("model", "glb"): layout.RESULTS,
        layout.thumbnail("j1", "i1"): layout.THUMBNAILS,
    }
    for name, root in names.items():
        assert check_key(name) == name
        assert layout.owner_of(name) == (root, "j1", "i1")
        assert any(name.startswith(f"{prefix}/") for prefix in layout.job_prefixes("j1"))
    for prefix in layout.job_prefixes("j1"):
        assert check_prefix(prefix) == prefix


def test_earlier_releases_know_only_the_names_that_are_not_flat() -> None:
    nested = layout.ResultNames("j1", "i1", flat=False).key("model", "glb")
    assert nested == "results/j1/i1/model.glb"  # as it is in the folders and buckets of those releases
    assert not layout.is_flat_result(nested)
    assert not layout.is_flat_result(layout.original("j1", "i1", "png"))
    assert layout.is_flat_result(layout.ResultNames("j1", "i1", flat=True).key("model", "glb"))


def test_foreign_key_has_no_owner() -> None:
    for key in ("x", "originals/j1", "results/j1/i1.glb", "originals/j1/i1/x.png", "backup/j1/i1.png"):
        assert layout.owner_of(key) is None
