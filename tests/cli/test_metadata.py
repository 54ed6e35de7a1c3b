"""`--metadata` and `--manifest`: what is sent with which upload, and what is refused before anything is."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, KilledSubmit, MakePicture
from tests.support.service import Service

OWN = ("--metadata", "sku=A-1", "--metadata", "note=")


def _write(folder: Path, files: object) -> Path:
    path = folder / "manifest.json"
    path.write_text(json.dumps({"files": files}))
    return path


def _sent(service: Service) -> list[tuple[str, object]]:
    """The names and metadata of the pictures, over all uploads."""
    found: list[tuple[str, object]] = []
    for names, fields in zip(service.uploads, service.fields, strict=True):
        entries = json.loads(fields.get("manifest", '{"files": []}'))["files"]
        by_part = {entry["part"]: entry["metadata"] for entry in entries}
        found += [(name, by_part.get(part)) for part, name in enumerate(names)]
    return sorted(found, key=lambda one: one[0])


def test_each_upload_has_the_jobs_data_and_that_of_its_own_pictures(
    cli: Cli, picture: MakePicture, photos: Path, service: Service
) -> None:
    names = [f"{number:02}.png" for number in range(30)]
    for name in names:
        picture(name)
    path = _write(photos, [{"file": name, "metadata": {"n": int(name[:2])}} for name in names])
    done = cli("submit", photos, *OWN, "--manifest", path)
    assert done.returncode == 0, done.stderr
    assert _sent(service) == [(name, {"n": int(name[:2])}) for name in names]
    assert [json.loads(fields["metadata"]) for fields in service.fields] == [{"sku": "A-1", "note": ""}] * 2


def test_upload_that_is_sent_again_has_the_data_of_the_first_time(
    cli: Cli,
    picture: MakePicture,
    photos: Path,
    service: Service,
    killed_submit: KilledSubmit,
) -> None:
    picture("a.png")
    path = _write(photos, [{"file": "a.png", "metadata": {"n": 1}}])
    killed_submit(photos, *OWN, "--manifest", str(path))
    assert cli("submit", photos, "--metadata", "sku=other").returncode == 0
    assert len(service.uploads) == 1
    assert len(service.fields) > 1
    assert all(fields == service.fields[0] for fields in service.fields)


def test_picture_with_two_names_has_the_data_of_the_first(
    cli: Cli, picture: MakePicture, photos: Path, service: Service
) -> None:
    for name in ("a.png", "b.png"):
        picture(name, "same")
    files = [{"file": name, "metadata": {"name": name}} for name in ("b.png", "a.png")]
    done = cli("submit", photos, "--manifest", _write(photos, files))
    assert done.returncode == 0, done.stderr
    assert _sent(service) == [("a.png", {"name": "a.png"})]
    assert "is the same picture as a.png" in done.stdout


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ("{", "must be JSON such as"),
        ([{"file": "a.png", "metadata": {}, "tags": []}], "tags"),
        ([{"file": "a.png", "metadata": {"a b": 1}}], "the metadata of a.png has the key 'a b'"),
        ([{"file": "a.png", "metadata": {}}, {"file": "./a.png", "metadata": {}}], "twice"),
        ([{"file": "away.png", "metadata": {}}], "none of the pictures"),
    ],
)
def test_bad_manifest_is_wrong_usage_and_nothing_is_sent(
    cli: Cli, picture: MakePicture, photos: Path, service: Service, files: object, words: str
) -> None:
    picture("a.png")
    done = cli("submit", photos, "--manifest", _write(photos, files))
    assert (done.returncode, service.uploads) == (2, []), done.stderr
    assert words in done.stderr


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("sku",), "write KEY=VALUE"),
        (("sku=1", "sku=2"), "given twice"),
        (("a b=1",), "Use keys of 1 to 64"),
        ((f"a={'x' * 4096}",), "may have 4096"),
    ],
)
@pytest.mark.parametrize("command", ["submit", "quote"])
def test_bad_metadata_is_wrong_usage(
    cli: Cli, picture: MakePicture, service: Service, command: str, given: tuple[str, ...], words: str
) -> None:
    options = [part for one in given for part in ("--metadata", one)]
    done = cli(command, picture("a.png"), *options)
    assert (done.returncode, service.uploads, service.quotes) == (2, [], []), done.stderr
    assert words in done.stderr
