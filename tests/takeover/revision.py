"""The revision before, from git: its sources in a folder, run by this checkout's own environment.

Who calls it: the rolling restart and the maker of the fixture.
"""

import subprocess
from pathlib import Path
from typing import Final

OLD: Final = "8adfc9cf6a60c3ea92835f8d5a3f630f18f3650b"
VERSION_2: Final = "e698190e3f059d713ead87809663fc01be118b83"
"""The last revision that reads and writes data version 2."""
VERSION_3: Final = "84e7db3d6385dac3e060347f9145481c3f53f3f5"
"""The last revision that reads and writes data version 3."""
VERSION_4: Final = "61b56f02bb205b2f542d5a88fa9a42fb943f2d1f"
"""The last revision that reads and writes data version 4."""
VERSION_5: Final = "d36eec3aeacf7d22e1e8cb48aae7241ff9e7aa63"
"""The last revision that reads and writes data version 5, and the last whose names of keys have no tags."""
_ROOT: Final = Path(__file__).parents[2]


def sources_of(revision: str, folder: Path) -> Path:
    """Its `src`, for PYTHONPATH. Raises AssertionError where the history does not reach back that far."""
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / "sources.tar"
    command = ["git", "-C", str(_ROOT), "archive", "--output", str(archive), revision, "src"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (
        f"revision {revision[:7]} is not in this clone's history, and the run side by side needs it: "
        f"`git fetch --unshallow`. git says: {done.stderr.strip()}"
    )
    subprocess.run(["tar", "-xf", str(archive), "-C", str(folder)], check=True)
    return folder / "src"
