"""Files of kinds that this service does not know: offered under FAL's type, unless a browser would run it."""

import msgspec
import pytest

from image2model.domain import Counts, ImageResult, ResultFile
from image2model.fal.hosts import FalHosts
from image2model.jobs.downloads import StoredFile, locate
from image2model.media.model_probe import media_type
from image2model.store import records


def located(*files: ResultFile, kind: str = "model") -> StoredFile | str:
    """Where a file of a result is."""
    job = records.job_row(["m", "", "1", "0", "0", *[""] * (len(records.JOB_FIELDS) - 5)])
    given = {"image_id": "i", "filename": "chair.png", "format": "png", "status": "succeeded"}
    numbers = dict.fromkeys(("index", "size", "width", "height", "created_at"), "0")
    given |= numbers | {"result": msgspec.json.encode(ImageResult(files)).decode()}
    row = records.image_row([given.get(name, "") for name in records.IMAGE_FIELDS])
    snapshot = records.JobSnapshot(
        job_id="j", version=1, owner="ann", deleted=False, job=job, counts=Counts(succeeded=1), images=(row,)
    )
    return locate(snapshot, "i", kind, FalHosts())


@pytest.mark.parametrize(
    "said", ["text/html", "image/svg+xml", "application/xhtml+xml", "application/javascript"]
)
def test_type_that_a_browser_would_run_is_served_as_bytes(said: str) -> None:
    assert media_type("splat", said) == "application/octet-stream"


@pytest.mark.parametrize("said", ["model/x-splat", "application/x-spz", "application/gzip"])
def test_other_types_are_fals(said: str) -> None:
    assert media_type("splat", f"{said}; version=1") == said


def test_known_format_has_its_own_type() -> None:
    assert media_type("glb", "text/html") == "model/gltf-binary"


def test_file_of_an_unknown_kind_is_offered_by_its_suffix_and_fals_type() -> None:
    file = ResultFile("model", "spz", 9, "results/j/i/model.spz", None, "Scene.SPZ", "application/x-spz")
    found = located(file)
    assert isinstance(found, StoredFile)
    assert (found.filename, found.media_type) == ("chair.spz", "application/x-spz")


def test_copied_and_redirected_files_of_one_result_are_both_found() -> None:
    ours = ResultFile("model", "glb", 9, "results/j/i/model.glb")
    theirs = ResultFile("preview", "png", 9, None, "https://v3.fal.media/p.png")
    assert isinstance(located(ours, theirs), StoredFile)
    assert located(ours, theirs, kind="preview") == "https://v3.fal.media/p.png"
