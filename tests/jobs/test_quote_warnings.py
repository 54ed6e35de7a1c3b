"""Warnings of a quote: about each picture that will hardly become a model, and at no one's cost."""

import asyncio
import threading
import time

import pytest
from PIL import Image
from redis.asyncio import Redis

from image2model.domain import PictureWarningCode
from image2model.http.upload import ReceivedFile
from image2model.jobs import advisor as module
from image2model.jobs.advisor import Advisor
from image2model.media.advice import SEVERAL_OBJECTS, Advice
from tests.support.multipart_body import CONTENT_TYPE, Body
from tests.support.pictures import scene
from tests.support.served_api import Answer, MakeService, Service
from tests.support.subjects import WHITE, chair, encoded, lines, on
from tests.support.wait import wait_until

LIMIT = 50_000_000


def two_chairs() -> bytes:
    background = Image.new("RGB", (800, 600), WHITE)
    return encoded(on(background, (chair(340), (30, 130)), (chair(340, (70, 90, 140), 1), (420, 130))))


def page() -> bytes:
    return encoded(lines((700, 900), 18))


def good() -> bytes:
    return encoded(scene((800, 600), 3))


def quote(service: Service, body: Body) -> Answer:
    return service.post("quote", bytes(body), content_type=CONTENT_TYPE)


def told(image: dict[str, object]) -> list[tuple[object, object]]:
    warnings = image["warnings"]
    assert isinstance(warnings, list)
    assert all(len(one["message"]) > 20 for one in warnings)
    return [(one["code"], one["file"]) for one in warnings]


def test_quote_warns_of_each_picture_and_refuses_none(service: Service) -> None:
    body = Body().file("pair.jpg", two_chairs()).file("good.jpg", good()).file("page.jpg", page())
    answer = quote(service, body)
    assert [told(image) for image in answer.items("images")] == [
        [("several_objects", "pair.jpg")],
        [],
        [("text", "page.jpg")],
    ]
    assert answer.body["accepted"] is True
    assert service.upload(body).status == 202


def test_warnings_of_an_object_name_its_views(make_service: MakeService) -> None:
    service = make_service(models="*")
    views = {"front": ("a.jpg", good()), "back": ("b.jpg", page()), "left": ("c.jpg", two_chairs())}
    body = Body().text("model", "fal-ai/hunyuan3d/v2/multi-view")
    for side, (name, data) in reversed(views.items()):
        header = f'Content-Disposition: form-data; name="objects[chair][{side}]"; filename="{name}"'
        body.part(header, data)
    (image,) = quote(service, body).items("images")
    assert image["filename"] == "chair"
    assert told(image) == [("text", "b.jpg"), ("several_objects", "c.jpg")]


def test_picture_that_cannot_be_decoded_has_no_warning(service: Service) -> None:
    data = page()
    start = data.index(b"\xff\xda") + 20
    broken = data[:start] + bytes(len(data) - start - 2) + data[-2:]
    bad = Body().file("broken.jpg", broken).file("cut.jpg", data[:-100]).file("text.txt", b"no picture")
    images = quote(service, bad).items("images")
    assert [image["warnings"] for image in images[1:]] == [[], []]
    assert images[0]["ok"] is True
    assert [one for one in told(images[0]) if one[0] != "uniform"] == []  # libjpeg shows it as plain grey


def test_each_model_of_a_comparison_has_the_warnings(service: Service) -> None:
    body = Body().text("model", "fal-ai/trellis").text("model", "fal-ai/triposr").file("page.jpg", page())
    for one in quote(service, body).items("quotes"):
        assert [told(image) for image in one["images"]] == [[("text", "page.jpg")]]


async def test_warned_picture_leaves_nothing_behind(service: Service, redis: Redis) -> None:
    keys = await redis.dbsize()
    assert quote(service, Body().file("page.jpg", page())).status == 200
    assert (service.stored(), await redis.dbsize()) == ([], keys)


def received(index: int) -> ReceivedFile:
    return ReceivedFile(index, f"{index}.jpg", 1, "", "jpeg", 1, 1)


async def test_the_loop_stays_free_while_pictures_are_measured() -> None:
    advisor = Advisor(max_pixels=LIMIT)
    looks = advisor.begin()
    turns: list[float] = []
    watch = asyncio.create_task(_turns(turns))
    data = page()
    await asyncio.gather(*[looks.look(received(index), data) for index in range(20)])
    watch.cancel()
    await advisor.aclose()
    assert len(looks.found) == 20
    assert max(turns) < 0.1, "the loop was blocked"


async def _turns(turns: list[float]) -> None:
    """CPU seconds of the loop's thread between two of its turns: those of a busy machine do not count."""
    while True:
        before = time.thread_time()
        await asyncio.sleep(0.005)
        turns.append(time.thread_time() - before)


HEAD = b"\x89PNG\r\n\x1a\n"
"""Of a picture that is measured in a thread."""


class Stalled:
    """Measures that last until `release` is set, and how many ran at once."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.running = 0
        self.most = 0
        self._lock = threading.Lock()

    def __call__(self, _data: bytes, *, max_pixels: int) -> Advice:
        assert max_pixels == LIMIT
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        self.release.wait(30)
        with self._lock:
            self.running -= 1
        return SEVERAL_OBJECTS


async def test_busy_decoders_cost_a_quote_its_warnings_and_little_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stalled = Stalled()
    monkeypatch.setattr(module, "advice", stalled)
    advisor = Advisor(max_pixels=LIMIT, threads=2, seconds_for_quote=0.2)
    first, second = advisor.begin(), advisor.begin()
    begun = [asyncio.create_task(first.look(received(index), HEAD)) for index in range(2)]
    await asyncio.to_thread(wait_until, lambda: stalled.running == 2)
    await second.look(received(0), HEAD)  # it waits in vain
    await second.look(received(1), HEAD)  # and does not try again
    assert second.found == {}
    assert not any(task.done() for task in begun)  # their bytes are held until they have ended
    stalled.release.set()
    await asyncio.gather(*begun)
    assert [one.code for one in first.found.values()] == [PictureWarningCode.SEVERAL_OBJECTS] * 2
    await first.look(received(2), HEAD)
    assert set(first.found) == {0, 1}  # its time is used up
    third = advisor.begin()
    await third.look(received(0), HEAD)
    assert set(third.found) == {0}
    assert stalled.most == 2
    await advisor.aclose()


async def test_fault_of_a_measure_is_reported_and_fails_no_quote(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_data: bytes, *, max_pixels: int) -> Advice:
        raise ZeroDivisionError(max_pixels)

    monkeypatch.setattr(module, "advice", fail)
    advisor = Advisor(max_pixels=LIMIT)
    looks = advisor.begin()
    await looks.look(received(0), HEAD)
    await advisor.aclose()
    assert looks.found == {}
    assert "advice_failed" in capsys.readouterr().out
