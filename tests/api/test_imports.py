"""What an API process loads when it starts: memory and time of each replica."""

import subprocess
import sys

PROGRAM = """
import sys
import image2model.api.app
print(sorted({"aiohttp", "fal_client"} & sys.modules.keys()))
"""


def test_what_calls_fal_is_loaded_when_fal_is_called() -> None:
    found = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
