"""Pictures whose background is removed before their model runs: each request is paid once."""

import io

from PIL import Image

from image2model.domain import Counts, Preparation
from tests.support.fleet import MODEL, Fleet

REMOVER = "fal-ai/bria/background/remove"
CUT = Preparation(remove_background=REMOVER)


def bought(fleet: Fleet) -> list[str]:
    """The endpoints of what FAL accepted, in order."""
    return [entry["endpoint"] for entry in fleet.emulator.submissions()]


async def test_model_is_made_of_the_picture_without_its_background(fleet: Fleet) -> None:
    fleet.start_worker()
    job = await fleet.until_finished(await fleet.submit(preparation=CUT, unit_micro=300_000))
    assert job.counts == Counts(succeeded=1)
    assert bought(fleet) == [REMOVER, MODEL]
    (image,) = job.images
    assert image.preparation is not None
    (file,) = image.preparation.files
    with Image.open(io.BytesIO(await fleet.storage.get(file.key))) as sent:
        assert (sent.mode, sent.size) == ("RGBA", (48, 32))
        assert sent.getextrema()[3] == (0, 255)
    assert image.cost_micro == job.job.cost_micro == 318_000
    assert image.preparation.cost_micro == 18_000
