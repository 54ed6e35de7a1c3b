"""The Pythons that the classifiers name are those that are tested, and `make test-pythons` finds them."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
TOOLS = Path(sys.executable).parent
WORKFLOW = ROOT / ".github" / "workflows" / "tests.yml"
OWN = f"{sys.version_info.major}.{sys.version_info.minor}"


def named() -> list[str]:
    """The Pythons of the classifiers, oldest first."""
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    found = [re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", one) for one in classifiers]
    return [one[1] for one in found if one]


def test_each_python_of_the_classifiers_is_in_the_workflow() -> None:
    jobs = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    oldest = re.fullmatch(r"python:(3\.\d+)-bookworm", jobs["everything"]["container"])
    assert oldest
    assert [oldest[1], *jobs["quick"]["strategy"]["matrix"]["python"]] == named()
    requires = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert requires == f">={oldest[1]}"


def test_the_workflow_follows_its_schema() -> None:
    program = TOOLS / "check-jsonschema"
    command = [str(program), "--builtin-schema", "vendor.github-workflows", str(WORKFLOW)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_says_which_pythons_are_missing_and_runs_none_in_their_place(tmp_path: Path) -> None:
    """A `python3.N` that cannot start, as pyenv leaves one for a version that is not chosen, is no Python."""
    for name in ("tools", ".venv/bin"):
        (tmp_path / name).mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "pythons.sh", tmp_path / "tools")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / ".venv/bin/python").symlink_to(sys.executable)
    programs = tmp_path / "programs"
    programs.mkdir()
    for version in named():
        broken = programs / f"python{version}"
        broken.write_text("#!/bin/sh\nexit 127\n")
        broken.chmod(0o755)
    environment = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(
        ["tools/pythons.sh"], cwd=tmp_path, env=os.environ | environment, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    missing = [f"Python {version}: not on this machine" for version in named() if version != OWN]
    assert done.stdout.splitlines() == missing
