"""Objects of several views in the client: what is sent of them, and what cannot be sent."""

import json
from pathlib import Path
from typing import Any

import pytest

from image2model.client import AsyncClient, Client, Image, ImageView, Object, Picture, View
from tests.support.service import Service

PNG = b"\x89PNG\r\n\x1a\n"


async def test_views_are_parts_with_the_objects_name_and_their_side(
    client: AsyncClient, service: Service, tmp_path: Path
) -> None:
    path = tmp_path / "seen from behind.png"
    path.write_bytes(PNG + b"back")
    chair = Object(
        'chair "ü"',
        views=[View(Picture.from_bytes("f.png", PNG), side="front"), View(path, "back"), str(path)],
    )
    job = await client.submit([Picture.from_bytes("a.png", PNG + b"a"), chair])
    assert service.parts == [
        [
            ("files", "a.png"),
            ('objects[chair "ü"][front]', "f.png"),
            ('objects[chair "ü"][back]', "seen from behind.png"),
            ('objects[chair "ü"]', "seen from behind.png"),
        ]
    ]
    assert [(image.filename, image.size) for image in job.images] == [("a.png", 9), ('chair "ü"', 32)]
    quote = await client.quote([chair])
    assert [image.filename for image in quote.images] == ['chair "ü"']


async def test_own_data_counts_the_parts_of_objects(client: AsyncClient, service: Service) -> None:
    def picture(name: str, **metadata: Any) -> Picture:
        return Picture.from_bytes(name, PNG + name.encode(), metadata=metadata)

    await client.submit(
        [
            picture("a", n=1),
            Object("chair", [picture("b"), picture("c")], metadata={"sku": "C"}),
            picture("d", n=4),
        ]
    )
    assert json.loads(service.fields[0]["manifest"]) == {
        "files": [{"part": 0, "metadata": {"n": 1}}, {"part": 3, "metadata": {"n": 4}}],
        "objects": [{"name": "chair", "metadata": {"sku": "C"}}],
    }


def test_sync_client_takes_objects(service: Service) -> None:
    with Client(service.url) as client:
        job = client.submit([Object("chair", [Picture.from_bytes("a", PNG)])])
    assert [image.filename for image in job.images] == ["chair"]


@pytest.mark.parametrize(
    ("name", "sides", "words"),
    [
        ("", [""], "must be 1 to 80"),
        ("a" * 81, [""], "must be 1 to 80"),
        ("a]b", [""], "without brackets"),
        ("a\nb", [""], "printable"),
        ("chair", [], "has 0 views"),
        ("chair", [""] * 9, "has 9 views"),
        ("chair", ["front", "front"], "two views of one side"),
        ("chair", ["behind"], "the sides are front, back, left"),
    ],
)
def test_object_that_cannot_be_sent_is_no_object(name: str, sides: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Object(name, [View("a.png", side) for side in sides])


async def test_two_objects_of_one_name_are_refused(client: AsyncClient, service: Service) -> None:
    one = Object("chair", [Picture.from_bytes("a", PNG)])
    with pytest.raises(ValueError, match="two objects are named 'chair'"):
        await client.submit([one, one])
    assert service.headers == []


@pytest.mark.parametrize(
    ("filename", "views", "stem"),
    [
        ("a.b.png", (), "a.b"),
        ("a.b.png", ("a.b.png",), "a.b"),
        ("v1.5", ("front.png",), "v1.5"),
        ("v1.5", ("v1.5", "b"), "v1.5"),
        ("chair.png", ("style of a second step.png",), "chair"),
    ],
)
def test_files_of_an_object_have_its_whole_name(filename: str, views: tuple[str, ...], stem: str) -> None:
    image = Image("id", "queued", filename=filename, views=tuple(ImageView(name) for name in views))
    assert image.stem == stem


def test_files_of_further_variants_have_their_number() -> None:
    images = [Image("id", "queued", filename="a.png", variant=number) for number in (None, 1, 2)]
    assert [image.stem for image in images] == ["a", "a", "a-2"]
