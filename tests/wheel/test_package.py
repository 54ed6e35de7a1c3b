"""What is in the wheel and the sdist, and that a package without the page's parts cannot be built."""

import os
import shutil
import subprocess
import tarfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest
from hatch_build import PARTS, VENDOR

from tests.wheel.conftest import ROOT, build


def checkout(target: Path, *, changed_at: float = 0) -> Path:
    """A copy of what a package is built from, with other times and without what git has of it."""
    without = shutil.ignore_patterns("node_modules", "__pycache__")
    shutil.copytree(ROOT / "src", target / "src", ignore=without)
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "CHANGELOG.md", "SECURITY.md"):
        shutil.copy(ROOT / name, target)
    for found in target.rglob("*"):
        os.utime(found, (changed_at, changed_at))
    return target


def test_the_wheel_has_every_file_of_the_program(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
        about = HeaderParser().parsestr(archive.read("image2model-0.1.0.dist-info/METADATA").decode())
    page = {f"image2model/web/{name}" for name in ("package.json", "package-lock.json")}
    meant = {
        path.relative_to(ROOT / "src").as_posix()
        for program in ("image2model", "fal_emulator")
        for path in (ROOT / "src" / program).rglob("*")
        if path.is_file()
        and path.name != ".locked"
        and not {"node_modules", "types", "__pycache__"} & set(path.parts)
    } - page
    assert {name for name in packed if ".dist-info/" not in name} == meant
    assert {(VENDOR / part).relative_to("src").as_posix() for part in PARTS} <= packed
    assert about["Requires-Python"] == ">=3.11"


@pytest.mark.parametrize("gone", ["model-viewer.min.js", "swagger-ui/LICENSE.txt", ""])
@pytest.mark.parametrize("target", ["wheel", "sdist"])
def test_nothing_is_built_without_the_parts_of_the_page(tmp_path: Path, target: str, gone: str) -> None:
    source = tmp_path / "source"
    (source / VENDOR).mkdir(parents=True)
    for name in ("pyproject.toml", "hatch_build.py", "README.md"):
        shutil.copy(ROOT / name, source)
    if gone:
        shutil.copytree(ROOT / VENDOR, source / VENDOR, dirs_exist_ok=True)
        (source / VENDOR / gone).unlink()
    with pytest.raises(subprocess.CalledProcessError) as failed:
        build(source, tmp_path / "out", target=target)
    assert gone in failed.value.stderr
    assert "run `make page-parts`" in failed.value.stderr
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.long
@pytest.mark.parametrize("target", ["wheel", "sdist"])
def test_the_same_source_makes_the_same_bytes(tmp_path: Path, target: str) -> None:
    made = []
    for number, changed_at in enumerate([1_000_000_000, 1_700_000_000]):
        folder = tmp_path / str(number)
        source = checkout(folder / "source", changed_at=changed_at)
        made.append(build(source, folder / "out", target=target, epoch="1600000000").read_bytes())
    assert made[0] == made[1]


@pytest.mark.long
def test_the_sdist_builds_the_same_wheel(tmp_path: Path, wheel: Path) -> None:
    sdist = build(ROOT, tmp_path / "sdist", target="sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    again = build(tmp_path / sdist.name.removesuffix(".tar.gz"), tmp_path / "again")
    assert again.read_bytes() == wheel.read_bytes()
