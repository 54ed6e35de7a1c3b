"""FAL's own JavaScript client works against the emulator."""

from pathlib import Path

import pytest

from tests.support.emulator import RunningEmulator
from tests.support.npm import run_script
from tests.support.sketches import picture


@pytest.mark.long
async def test_upload_subscribe_and_cancel(emulator: RunningEmulator, tmp_path: Path) -> None:
    file = tmp_path / "chair.png"
    file.write_bytes(picture(1))
    await emulator.settings(latency=1.0)  # long enough to be seen under way on a busy machine
    seen = await run_script("fal_client.js", emulator.url, file)

    assert seen["streamed"][-1] == "COMPLETED"
    assert "IN_PROGRESS" in seen["streamed"]
    assert seen["byPolling"]["pbr_model"]["file_name"] == "model.glb"
    assert seen["cancelled"] == "COMPLETED"
    assert seen["result"] == 499
    assert seen["magic"] == "glTF"
