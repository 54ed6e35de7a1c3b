"""Names of objects: made and read back by one module."""

from image2model.storage import layout
from image2model.storage.objects import check_key, check_prefix


def test_every_name_is_a_key_and_says_whose_it_is() -> None:
    names = {
        layout.original("j1", "i1", "jpg"): layout.ORIGINALS,
        layout.result("j1", "i1", "model", "glb"): layout.RESULTS,
        layout.thumbnail("j1", "i1"): layout.THUMBNAILS,
    }
    for name, root in names.items():
        assert check_key(name) == name
        assert layout.owner_of(name) == (root, "j1", "i1")
        assert any(name.startswith(f"{prefix}/") for prefix in layout.job_prefixes("j1"))
    for prefix in (*layout.job_prefixes("j1"), layout.image_prefix("j1", "i1")):
        assert check_prefix(prefix) == prefix


def test_foreign_key_has_no_owner() -> None:
    for key in ("x", "originals/j1", "results/j1/i1.glb", "originals/j1/i1/x.png", "backup/j1/i1.png"):
        assert layout.owner_of(key) is None
