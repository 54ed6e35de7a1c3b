"""The table of answers: each way to name views, with 1, 2, 4 and 8 pictures, to an endpoint of each kind.

What is refused is told in words that say what to do, by the upload and by the quote alike; then nothing is
stored, no job exists, and nothing is in the queue, so that nothing can be bought.
"""

from typing import Any, Final

import pytest
from redis.asyncio import Redis

from image2model.store.arq_keys import queue_key
from image2model.store.keys import every_key
from tests.support.multipart_body import CONTENT_TYPE
from tests.support.object_forms import NAME, SIDES, WAYS
from tests.support.served_api import MakeService

ONE_PICTURE: Final = "tripo3d/tripo/v2.5/image-to-3d"
ALL_SIDES: Final = "fal-ai/hunyuan3d/v2/multi-view"  # front, back and left, all required
FRONT_AND_SIDES: Final = "tripo3d/tripo/v2.5/multiview-to-3d"  # front required; back, left, right
FROM_TWO: Final = "tripo3d/h3.1/multiview-to-3d"  # a list of 2 or more
UP_TO_FOUR: Final = "fal-ai/meshy/v6-preview/multi-image-to-3d"  # a list of 1 to 4
PICTURE_AND_THREE: Final = "fal-ai/hunyuan3d-v3/image-to-3d"  # a picture; back, left, right
PICTURE_AND_SEVEN: Final = "fal-ai/hunyuan-3d/v3.1/pro/image-to-3d"  # a picture, and every other side

COUNTS: Final = (1, 2, 4, 8)
OK: Final = ""
ONE: Final = "makes a model of one picture, and the object 'chair' has {count} views. Send each as a file"
NAME_THEM: Final = (
    "takes a picture of each named side, and views of the object 'chair' have none. Name the sides"
)
NO_TOP: Final = "takes no view of the side top, bottom, left_front, right_front, which the object 'chair' has"
BACK_LEFT: Final = (
    "needs another view of the object 'chair': back, left. Add it, as in `objects[chair][back]`"
)
LEFT: Final = "needs another view of the object 'chair': left. Add it, as in `objects[chair][left]`"
NO_RIGHT: Final = "takes no view of the side right, which the object 'chair' has. Leave it out"
NO_REST: Final = "takes no view of the side right, top, bottom, left_front, right_front"
TWO: Final = "takes 2 or more views of one object, and 'chair' has 1"
FOUR: Final = "takes 1 to 4 views of one object, and 'chair' has 8"
FILE_SIDES: Final = "needs another view of the object '0.png': back, left"
FILE_TWO: Final = "takes 2 or more views of one object, and '0.png' has 1"

TABLE: Final[dict[tuple[str, str], tuple[str, str, str, str]]] = {
    (ONE_PICTURE, "named"): (OK, ONE, ONE, ONE),
    (ONE_PICTURE, "unnamed"): (OK, ONE, ONE, ONE),
    (ONE_PICTURE, "files"): (OK, OK, OK, OK),
    (ALL_SIDES, "named"): (BACK_LEFT, LEFT, NO_RIGHT, NO_REST),
    (ALL_SIDES, "unnamed"): (BACK_LEFT, NAME_THEM, NAME_THEM, NAME_THEM),
    (ALL_SIDES, "files"): (FILE_SIDES, FILE_SIDES, FILE_SIDES, FILE_SIDES),
    (FRONT_AND_SIDES, "named"): (OK, OK, OK, NO_TOP),
    (FRONT_AND_SIDES, "unnamed"): (OK, NAME_THEM, NAME_THEM, NAME_THEM),
    (FRONT_AND_SIDES, "files"): (OK, OK, OK, OK),
    (FROM_TWO, "named"): (TWO, OK, OK, OK),
    (FROM_TWO, "unnamed"): (TWO, OK, OK, OK),
    (FROM_TWO, "files"): (FILE_TWO, FILE_TWO, FILE_TWO, FILE_TWO),
    (UP_TO_FOUR, "named"): (OK, OK, OK, FOUR),
    (UP_TO_FOUR, "unnamed"): (OK, OK, OK, FOUR),
    (UP_TO_FOUR, "files"): (OK, OK, OK, OK),
    (PICTURE_AND_THREE, "named"): (OK, OK, OK, NO_TOP),
    (PICTURE_AND_THREE, "unnamed"): (OK, NAME_THEM, NAME_THEM, NAME_THEM),
    (PICTURE_AND_THREE, "files"): (OK, OK, OK, OK),
    (PICTURE_AND_SEVEN, "named"): (OK, OK, OK, OK),
    (PICTURE_AND_SEVEN, "unnamed"): (OK, NAME_THEM, NAME_THEM, NAME_THEM),
    (PICTURE_AND_SEVEN, "files"): (OK, OK, OK, OK),
}
"""By endpoint, and whether the views have sides: OK, or the words of the refusal, for each of `COUNTS`."""
NAMING: Final = {
    "sides": "named",
    "manifest of sides": "named",
    "listed": "unnamed",
    "manifest of parts": "unnamed",
    "files": "files",
}
MODELS: Final = sorted({model for model, _ in TABLE})


@pytest.mark.long
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("model", MODELS)
async def test_each_way_with_each_count(
    make_service: MakeService, redis: Redis, model: str, way: str
) -> None:
    service = make_service(models="*")
    for count, words in zip(COUNTS, TABLE[model, NAMING[way]], strict=True):
        body = WAYS[way](count).text("model", model).text("max_cost_usd", "40")
        before, keys = service.stored(), sorted(await redis.keys(every_key()))
        told = service.post("quote", bytes(body), content_type=CONTENT_TYPE)
        assert (service.stored(), sorted(await redis.keys(every_key()))) == (before, keys), (
            "a quote keeps nothing"
        )
        answer = service.upload(body, idempotency_key=f"{count}")
        if words:
            for one in (answer, told):
                assert (one.status, one.code) == (422, "invalid_parameter"), (count, one.body)
                assert words.format(count=count) in one.text("detail"), count
                assert one.headers["content-type"] == "application/problem+json"
            assert (service.stored(), sorted(await redis.keys(every_key()))) == (before, keys)
        else:
            assert (answer.status, told.status) == (202, 200), (count, answer.body, told.body)
            assert told.body["accepted"] is True
            check_accepted(answer.items("images"), told.items("images"), way, count)
            assert len(service.stored()) == len(before) + count
    jobs = TABLE[model, NAMING[way]].count(OK)
    pictures = sum(count for count, words in zip(COUNTS, TABLE[model, NAMING[way]], strict=True) if not words)
    assert await redis.zcard(queue_key("model_generation")) == (pictures if way == "files" else jobs)


def check_accepted(images: list[dict[str, Any]], quoted: list[dict[str, Any]], way: str, count: int) -> None:
    """One image with all views, in the order in which FAL gets them; of plain files one each."""
    for one in (images, quoted):
        if way == "files":
            assert [image["filename"] for image in one] == [f"{number}.png" for number in range(count)]
            assert all(len(image["views"]) == 1 for image in one)
            continue
        (image,) = one
        assert image["filename"] == NAME
        assert image["size"] == sum(found["size"] for found in image["views"])
        shown = [(found["side"], found["width"]) for found in image["views"]]
        named = NAMING[way] == "named"
        assert shown == [(SIDES[at] if named else None, 20 + at) for at in range(count)]
    assert [image["sha256"] for image in images] == [image["sha256"] for image in quoted]
    assert [image["views"] for image in images] == [image["views"] for image in quoted]
