"""Forms with objects that are wrong in themselves, and names that are odd but right.

A refusal says what to do instead, and leaves nothing in storage or store.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Final

import pytest
from redis.asyncio import Redis

from image2model.store.arq_keys import queue_key
from tests.support.multipart_body import CONTENT_TYPE, Body
from tests.support.object_forms import SIDES, files, four_views, part, text, view
from tests.support.served_api import MakeService, Service
from tests.support.wait import wait_until

LIST: Final = "fal-ai/trellis/multi"
SIDED: Final = "tripo3d/tripo/v2.5/multiview-to-3d"
KNOWN_SIDES: Final = f"The sides are: {', '.join(SIDES)}."
BAD: Final = b"no picture at all, " * 20


@pytest.fixture
def service(make_service: MakeService) -> Service:
    """One that offers every model."""
    return make_service(models="*")


def named(*names: str) -> Body:
    """One picture under each of these part names."""
    body = Body()
    for number, name in enumerate(names):
        part(body, name, view(number))
    return body


def manifest(value: object, count: int = 2) -> Body:
    return text(files(count), value)


def object_of(*parts: int, **members: object) -> dict[str, object]:
    return {"views": [{"part": number} for number in parts], **members}


WRONG: Final[dict[str, tuple[Callable[[], Body], str]]] = {
    "a side twice": (
        lambda: named("objects[a][front]", "objects[a][back]", "objects[a][front]"),
        "The object 'a' has two views of the side front. Send one of each side.",
    ),
    "a side twice by manifest": (
        lambda: manifest(
            {"objects": [{"views": [{"part": n, "side": "left"} for n in (0, 1)], "name": "a"}]}
        ),
        "The object 'a' has two views of the side left.",
    ),
    "an unknown side": (lambda: named("objects[a][rear]"), f"has a side 'rear'. {KNOWN_SIDES}"),
    "a side in capitals": (lambda: named("objects[a][Front]"), f"has a side 'Front'. {KNOWN_SIDES}"),
    "an unknown side by manifest": (
        lambda: manifest({"objects": [{"views": [{"part": 0, "side": "rear"}], "name": "a"}]}),
        f"has a side 'rear'. {KNOWN_SIDES}",
    ),
    "a side that is a number": (
        lambda: manifest({"objects": [{"views": [{"part": 0, "side": 1}], "name": "a"}]}),
        f"has a side '1'. {KNOWN_SIDES}",
    ),
    "no name": (lambda: named("objects[]"), "names no object. Write `objects[chair][front]`, or"),
    "no name but a side": (
        lambda: named("objects[][front]"),
        "names no object. Write `objects[chair][front]`, or",
    ),
    "no brackets": (lambda: named("objects"), "names no object. Write `objects[chair][front]`, or"),
    "one bracket": (lambda: named("objects[a"), "names no object. Write `objects[chair][front]`, or"),
    "three brackets": (
        lambda: named("objects[a][front][x]"),
        "names no object. Write `objects[chair][front]`, or",
    ),
    "brackets in the name": (lambda: named("objects[a[0]][front]"), "names no object."),
    "a dot": (lambda: named("objects.a.front"), "names no object."),
    "another name": (lambda: named("object[a][front]"), "There is no parameter 'object[a][front]'."),
    "only spaces": (lambda: named("objects[  ][front]"), "names no object."),
    "a right-to-left mark": (lambda: named("objects[a\u202eb][front]"), "names no object."),
    "a control character": (lambda: named("objects[a\x01b][front]"), "names no object."),
    "81 characters": (
        lambda: named(f"objects[{'x' * 81}]"),
        "names no object. Write `objects[chair][front]`",
    ),
    "9 views": (
        lambda: named(*["objects[a]"] * 9),
        "The object 'a' has 9 views. Send at most 8 of one object.",
    ),
    "9 views by manifest": (
        lambda: manifest({"objects": [object_of(*range(9), name="a")]}, 9),
        "The object 'a' has 9 views. Send at most 8 of one object.",
    ),
    "a part in two objects": (
        lambda: manifest({"objects": [object_of(0, 1, name="a"), object_of(1, name="b")]}),
        "makes part 1 a view of 'b', but it belongs to another object",
    ),
    "a part twice in one object": (
        lambda: manifest({"objects": [object_of(0, 0, name="a")]}),
        "makes part 0 a view of 'a', but it belongs to another object",
    ),
    "a part with a name of its own": (
        lambda: text(named("objects[a]", "files"), {"objects": [object_of(0, 1, name="b")]}),
        "makes part 0 a view of 'b', but it belongs to another object",
    ),
    "a part that is not there": (
        lambda: manifest({"objects": [object_of(0, 2, name="a")]}),
        "names part 2, but the upload has 2 files, which count from 0 to 1",
    ),
    "a part below zero": (lambda: manifest({"objects": [object_of(-1, name="a")]}), "names part -1"),
    "a part in words": (
        lambda: manifest({"objects": [{"name": "a", "views": [{"part": "front.png"}]}]}),
        "needs `part`: the index of a file",
    ),
    "a view without a part": (
        lambda: manifest({"objects": [{"name": "a", "views": [{"side": "front"}]}]}),
        "needs `part`: the index of a file",
    ),
    "two of one name": (
        lambda: manifest({"objects": [object_of(0, name="a"), object_of(1, name="a")]}),
        "Two objects are named 'a'. Give each a `name` of its own.",
    ),
    "a name of the part names": (
        lambda: text(named("objects[a]", "files"), {"objects": [object_of(1, name="a")]}),
        "Two objects are named 'a'.",
    ),
    "names only by the same file": (
        lambda: text(
            part(part(Body(), "files", view(0), "x.png"), "files", view(1), "x.jpg"),
            {"objects": [object_of(0), object_of(1)]},
        ),
        "Two objects are named 'x'.",
    ),
    "metadata for nobody": (
        lambda: manifest({"objects": [{"name": "nobody", "metadata": {"a": 1}}]}),
        "names 'nobody', but no part of the form is a view of it",
    ),
    "metadata twice": (
        lambda: text(named("objects[a]"), {"objects": [{"name": "a"}, {"name": "a", "metadata": {"b": 1}}]}),
        "names 'a' a second time",
    ),
    "metadata for a view": (
        lambda: text(named("objects[a]"), {"files": [{"part": 0, "metadata": {"a": 1}}]}),
        "has metadata for part 0, which is a view of an object. Put it into the object's entry",
    ),
    "metadata of the wrong form": (
        lambda: text(named("objects[a]"), {"objects": [{"name": "a", "metadata": {"a": []}}]}),
        "is a list",
    ),
    "neither name nor views": (lambda: manifest({"objects": [{}]}), "needs `views`, a list such as"),
    "empty name": (lambda: manifest({"objects": [{"name": " "}]}), "needs `views`, a list such as"),
    "views no list": (lambda: manifest({"objects": [{"name": "a", "views": {}}]}), "needs `views`, a list"),
    "a view no object": (
        lambda: manifest({"objects": [{"name": "a", "views": [0]}]}),
        "must be a JSON object",
    ),
    "objects no list": (lambda: manifest({"objects": {"a": {}}}), "`objects` of `manifest` must be a list"),
    "name no text": (lambda: manifest({"objects": [object_of(0, name=1)]}), "must be a text of 1 to 80"),
    "long name": (lambda: manifest({"objects": [object_of(0, name="x" * 81)]}), "must be a text of 1 to 80"),
    "name with brackets": (lambda: manifest({"objects": [object_of(0, name="a[0]")]}), "without brackets"),
    "name unseen": (
        lambda: manifest({"objects": [object_of(0, name="a\u202e")]}),
        "must be a text of 1 to 80",
    ),
    "unknown member": (
        lambda: manifest({"objects": [object_of(0, name="a", tags=[])]}),
        "has a member 'tags', but this service knows `name` and `views` and `metadata` alone",
    ),
    "unknown member of a view": (
        lambda: manifest({"objects": [{"name": "a", "views": [{"part": 0, "sides": "front"}]}]}),
        "has a member 'sides'",
    ),
    "the manifest twice": (
        lambda: text(manifest({"objects": []}), {"objects": []}),
        "The parameter `manifest` came twice. Send it once.",
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("name", WRONG)
async def test_wrong_form_is_refused_with_advice(service: Service, redis: Redis, name: str) -> None:
    make, words = WRONG[name]
    body = make().text("model", LIST).text("max_cost_usd", "90")
    before = sorted(await redis.keys())
    told = service.post("quote", bytes(body), content_type=CONTENT_TYPE)
    answer = service.upload(body, idempotency_key="the-same")
    for one in (answer, told):
        assert (one.status, one.code) == (422, "invalid_parameter"), one.body
        assert words in one.text("detail")
        assert len(one.text("detail")) < 600
    assert sorted(await redis.keys()) == before
    assert service.stored() == []


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "x" * 80,
        "Stühle 4",
        "椅子",
        "🪑",
        "../../etc/passwd",
        "a.png",
        "objects",
        "0",
        "%5B",
        "a'b",
        "a\\b",
        "__proto__",
    ],
)
def test_odd_name_is_kept_as_it_is(service: Service, name: str) -> None:
    body = (
        named(f"objects[{name:^6}][front]", f"objects[{name}][back]")
        .text("model", LIST)
        .text("max_cost_usd", "90")
    )
    answer = service.upload(body)
    assert answer.status == 202, answer.body
    (image,) = answer.items("images")
    assert (image["filename"], len(image["views"])) == (name, 2)
    by_manifest = (
        manifest({"objects": [object_of(0, 1, name=f"{name:^6}")]})
        .text("model", LIST)
        .text("max_cost_usd", "90")
    )
    (image,) = service.upload(by_manifest).items("images")
    assert (image["filename"], len(image["views"])) == (name, 2)


def test_order_of_the_form_is_the_order_of_objects_and_of_views_without_a_side(service: Service) -> None:
    body = named("objects[b]", "objects[a][back]", "files", "objects[b]", "objects[a]", "objects[a][front]")
    images = service.upload(body.text("model", LIST).text("max_cost_usd", "90")).items("images")
    assert [(one["filename"], [v["width"] for v in one["views"]]) for one in images] == [
        ("b", [20, 23]),
        ("a", [25, 21, 24]),
        ("view.png", [22]),
    ]
    assert [view_["side"] for view_ in images[1]["views"]] == ["front", "back", None]


def test_files_and_objects_and_a_manifest_in_one_form(service: Service) -> None:
    body = named("files", "objects[a][front]", "files", "files", "objects[a][back]")
    entries = [object_of(0, 3, metadata={"sku": "M"}), {"name": "a", "metadata": {"sku": "A"}}]
    text(body, {"objects": entries, "files": [{"part": 2, "metadata": {"sku": "F"}}]})
    images = service.upload(body.text("model", LIST).text("max_cost_usd", "90")).items("images")
    assert [(one["filename"], len(one["views"]), one["metadata"]["sku"]) for one in images] == [
        ("view", 2, "M"),
        ("a", 2, "A"),
        ("view.png", 1, "F"),
    ]


def test_metadata_of_an_object_comes_back(service: Service) -> None:
    body = text(four_views(2, model=SIDED), {"objects": [{"name": "o1", "metadata": {"sku": "B"}}]})
    answer = service.upload(body)
    for images in (answer.items("images"), service.get(answer.headers["location"]).items("images")):
        assert [(one["filename"], one["metadata"]) for one in images] == [("o0", {}), ("o1", {"sku": "B"})]


def test_as_many_objects_of_as_many_views_as_are_permitted(make_service: MakeService) -> None:
    service = make_service(models="*", max_files="3")
    body = Body()
    for number in range(3):
        for seed in range(8):
            part(body, f"objects[o{number}]", view(seed, number))
    answer = service.upload(body.text("model", LIST).text("max_cost_usd", "90"))
    assert (answer.status, answer.body["total"], len(service.stored())) == (202, 3, 24)


TOO_MANY: Final[dict[str, tuple[Callable[[], Body], str]]] = {
    "objects": (lambda: four_views(4), "More than 3 objects"),
    "objects and files": (
        lambda: named("objects[a]", "files", "objects[b]", "files"),
        "More than 3 objects",
    ),
    "files that a later manifest would group": (
        lambda: manifest({"objects": [object_of(*range(4), name="a")]}, 4),
        "If a `manifest` makes fewer objects of the files, send it before them",
    ),
    "objects of a manifest before the files": (
        lambda: Body(
            text(Body(), {"objects": [object_of(n, name=f"o{n}") for n in range(4)]}).parts + files(4).parts
        ),
        "More than 3 objects",
    ),
    "files beside those of a manifest": (
        lambda: Body(text(Body(), {"objects": [object_of(0, 1, name="a")]}).parts + files(5).parts),
        "More than 3 objects",
    ),
    "pictures": (lambda: named(*["objects[a]"] * 25), "More than 24 pictures"),
}


@pytest.mark.parametrize("name", TOO_MANY)
async def test_too_many_are_refused_and_leave_nothing(
    make_service: MakeService, redis: Redis, name: str
) -> None:
    service = make_service(models="*", max_files="3")
    make, words = TOO_MANY[name]
    body = make().text("model", LIST).text("max_cost_usd", "90")
    before = sorted(await redis.keys())
    for route in ("quote", "upload/batch"):
        answer = service.post(route, bytes(body), content_type=CONTENT_TYPE)
        assert (answer.status, answer.code) == (422, "too_many_files"), answer.body
        assert words in answer.text("detail")
    assert sorted(await redis.keys()) == before
    assert service.stored() == []


def test_manifest_before_the_files_groups_more_than_the_objects_permitted(make_service: MakeService) -> None:
    service = make_service(models="*", max_files="1")
    body = text(Body(), {"objects": [object_of(*range(8), name="a")]})
    body.parts += files(8).parts
    answer = service.upload(body.text("model", LIST).text("max_cost_usd", "90"))
    assert (answer.status, answer.body["total"]) == (202, 1)


def test_body_beyond_the_limit_of_the_whole_is_refused(make_service: MakeService) -> None:
    service = make_service(models="*", max_body=str(1 << 20))
    body = Body()
    for number in range(8):
        part(body, f"objects[a][{SIDES[number]}]", view(number) + bytes(200 << 10))
    answer = service.upload(body.text("model", LIST).text("max_cost_usd", "90"))
    assert (answer.status, answer.code) == (413, "body_too_large"), answer.body
    assert service.stored() == []


def test_bad_view_refuses_the_whole_and_names_the_object(service: Service) -> None:
    body = part(four_views(2, model=SIDED), "objects[o2][front]", BAD, "front.png")
    answer = service.upload(body)
    assert (answer.status, answer.code) == (422, "not_an_image")
    (fault,) = answer.items("errors")
    assert (fault["file"], fault["code"]) == ("o2/front.png", "not_an_image")
    assert service.stored() == []


async def test_skipped_object_is_rejected_and_its_good_views_are_deleted(
    service: Service, redis: Redis
) -> None:
    body = four_views(2, model=SIDED, on_invalid="skip")
    for side, data in (("front", view(50)), ("back", BAD), ("left", view(51))):
        part(body, f"objects[broken][{side}]", data, f"{side}.png")
    told = service.post("quote", bytes(body), content_type=CONTENT_TYPE)
    assert (told.body["accepted"], told.body["good"], told.body["bad"]) == (True, 2, 1)
    quoted = told.items("images")[2]
    assert (quoted["filename"], quoted["ok"], quoted["code"]) == ("broken", False, "not_an_image")
    answer = service.upload(body)
    assert (answer.status, answer.body["total"]) == (202, 2)
    (rejected,) = answer.items("rejected")
    assert (rejected["file"], rejected["code"]) == ("broken", "not_an_image")
    assert rejected["detail"].startswith("back.png: ")
    await asyncio.to_thread(wait_until, lambda: len(service.stored()) == 8)
    assert await redis.zcard(queue_key("model_generation")) == 2


def test_nothing_but_bad_objects_is_refused_though_it_may_skip(service: Service) -> None:
    body = part(part(Body(), "objects[a][front]", view(0)), "objects[a][back]", BAD)
    answer = service.upload(body.text("model", SIDED).text("max_cost_usd", "90").text("on_invalid", "skip"))
    assert (answer.status, answer.code) == (422, "not_an_image")
    assert service.stored() == []


def test_object_that_the_endpoint_does_not_take_is_not_skipped(service: Service) -> None:
    body = part(four_views(1, model=SIDED, on_invalid="skip"), "objects[b][top]", view(3))
    answer = service.upload(body)
    assert (answer.status, answer.code) == (422, "invalid_parameter")
    assert service.stored() == []


def test_parameter_that_is_a_view_already_is_refused(service: Service) -> None:
    """FAL would get the parameter's picture in place of the view."""
    address = "https://pictures.example.com/back.png"
    body = four_views(1, model=SIDED, params=json.dumps({"back_image_url": address}))
    answer = service.upload(body)
    assert (answer.status, answer.code) == (422, "invalid_parameter"), answer.body
    assert "back_image_url" in answer.text("detail")
    other = named("objects[a][front]").text("model", SIDED).text("max_cost_usd", "90")
    assert service.upload(other.text("params", json.dumps({"back_image_url": address}))).status == 202
