"""An upload as JSON: the same job as by a form, from base64 in every way in which people write it."""

import base64
import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.fleet import MODEL
from tests.support.multipart_body import CONTENT_TYPE
from tests.support.served_api import Answer, MakeService, Service, batch
from tests.support.sketches import picture

PNG = picture(0)
DATA = base64.b64encode(PNG).decode()
URL = "https://pictures.example.com/a/chair.png?sig=abc"


def send(service: Service, body: object, path: str = "jobs", **headers: str) -> Answer:
    return service.post(path, json.dumps(body).encode(), content_type="application/json", **headers)


def images(answer: Answer) -> list[dict[str, Any]]:
    assert answer.status == 202, answer.content
    return answer.items("images")


@pytest.mark.parametrize("path", ["jobs", "upload/batch"])
def test_both_addresses_take_both_kinds(service: Service, path: str) -> None:
    (sent,) = images(send(service, {"images": [{"data": DATA, "filename": "0.png"}]}, path))
    (form,) = images(service.post(path, bytes(batch(1)), content_type=CONTENT_TYPE))
    assert {**sent, "image_id": "", "created_at": ""} == {**form, "image_id": "", "created_at": ""}


ESCAPED: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "no padding": lambda text: text.rstrip("="),
    "base64url": lambda text: text.replace("+", "-").replace("/", "_"),
    "lines": lambda text: "\\r\\n".join(text[at : at + 76] for at in range(0, len(text), 76)) + "\\n",
    "PHP": lambda text: text.replace("/", "\\/"),
    ".NET": lambda text: text.replace("+", "\\u002B"),
    "data URL": lambda text: "data:image/png;base64," + text,
    "data URL with parameters": lambda text: "DATA:image/png;name=a.png;base64," + text,
}


@pytest.mark.parametrize("size", [len(PNG), 40_000, 40_001, 40_002])
@pytest.mark.parametrize("kind", ESCAPED)
def test_base64_as_people_write_it(service: Service, kind: str, size: int) -> None:
    data = PNG + os.urandom(size - len(PNG))
    text = ESCAPED[kind](base64.b64encode(data).decode())
    answer = service.post(
        "jobs", f'{{"images":[{{"data":"{text}"}}]}}'.encode(), content_type="application/json"
    )
    (image,) = images(answer)
    assert (image["filename"], image["size"]) == ("image-1", size)
    (stored,) = service.stored()
    assert (service.files / stored).read_bytes() == data


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"data": "%%%"}, "not base64"),
        ({"data": "A"}, "not base64"),
        ({"data": "iVBOR\u00e4"}, "not base64"),
        ({"data": "data:image/png,abc"}, "without base64"),
        ({"data": base64.b64encode(b"<svg>").decode()}, "looks like"),
        ({"data": ""}, "empty"),
        ({"url": "ftp://example.com/a.png"}, "must be an absolute https or http URL"),
        ({"url": "https://user:pw@example.com/a.png"}, "user name or password"),
        ({"url": "https://10.0.0.1/a.png"}, "public internet address"),
        ({"url": "http://localhost:8000/a.png"}, "public internet address"),
        ({"url": "http://example.com:22/a.png"}, "must use port 80"),
        ({"url": "chair.png"}, "must be an absolute"),
        ({"url": "https://example.com/" + "a" * 9000}, "at most 8192"),
    ],
)
def test_bad_picture_is_named_and_can_be_skipped(service: Service, entry: dict[str, str], words: str) -> None:
    body = {"images": [{"data": DATA}, {**entry, "filename": "bad.png"}]}
    answer = send(service, body)
    assert answer.status == 422, answer.content
    (fault,) = answer.items("errors")
    assert fault["file"] == "bad.png"
    assert words in fault["detail"]
    assert service.stored() == []
    skipped = send(service, {**body, "on_invalid": "skip"})
    assert len(images(skipped)) == 1
    assert [one["file"] for one in skipped.items("rejected")] == ["bad.png"]


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ([], "invalid_parameter", "must be a JSON object"),
        ({}, "no_files", "no picture"),
        ({"images": []}, "no_files", "no picture"),
        ({"images": {}}, "invalid_parameter", "`images` must be a list"),
        ({"images": [URL]}, "invalid_parameter", "`images[0]` must be a JSON object"),
        ({"images": [{}]}, "invalid_parameter", "`images[0]` must have either `url`"),
        ({"images": [{"url": URL, "data": DATA}]}, "invalid_parameter", "either `url`"),
        ({"images": [{"url": 5}]}, "invalid_parameter", "`url` of `images[0]` must be a text"),
        ({"images": [{"url": URL, "name": "a"}]}, "invalid_parameter", "'name'"),
        ({"images": [{"url": URL}], "modle": "x"}, "invalid_parameter", "'modle'"),
        ({"images": [{"url": URL}], "manifest": {}}, "invalid_parameter", "'manifest'"),
        ({"images": [{"url": URL}], "crop": 1.5}, "invalid_parameter", "`crop` must be true or false"),
        (
            {"images": [{"url": URL}], "variants": True},
            "invalid_parameter",
            "`variants` must be a whole number",
        ),
        ({"images": [{"url": URL}], "variants": 1.5}, "invalid_parameter", "`variants`"),
        ({"images": [{"url": URL}], "variants": 11}, "invalid_parameter", "`variants`"),
        ({"images": [{"url": URL}], "params": [1]}, "invalid_parameter", "`params` must be an object"),
        ({"images": [{"url": URL}], "priority": 1}, "invalid_parameter", "`priority` must be a text"),
        ({"images": [{"url": URL}], "model": [1]}, "invalid_parameter", "`model`"),
        ({"images": [{"url": URL}], "model": "no/such"}, "unknown_model", "no/such"),
        ({"images": [{"url": URL, "metadata": [1]}]}, "invalid_parameter", "`images[0]`"),
        ({"images": [{"url": URL}] * 26}, "too_many_files", "25 objects"),
        ({"objects": [{"name": "a"}]}, "invalid_parameter", "`objects[0]` needs `views`"),
        ({"objects": [{"views": [{"url": URL, "side": "up"}]}]}, "invalid_parameter", "sides are"),
        (
            {"objects": [{"name": "a[b", "views": [{"url": URL}]}]},
            "invalid_parameter",
            "`name` of `objects[0]`",
        ),
        ({"images": [{"url": URL}], "x" * 20_000: 1}, "invalid_parameter", "no member"),
        ({"images": [{"url": URL}], "webhook_url": "x" * 20_000}, "invalid_parameter", "outside of `data`"),
    ],
)
def test_wrong_body_is_refused_with_advice(service: Service, body: object, code: str, words: str) -> None:
    answer = send(service, body)
    assert (answer.status, answer.code) == (422, code), answer.content
    assert words in answer.text("detail")
    assert URL not in answer.text("detail")


@pytest.mark.parametrize("text", [b"", b"{", b'{"images": [{"data": "', b"\xff", b'{"a": ' + b"[" * 5000])
def test_what_is_no_json_is_refused(service: Service, text: bytes) -> None:
    answer = service.post("jobs", text, content_type="application/json")
    assert (answer.status, answer.code) == (422, "invalid_parameter")
    assert "must be JSON such as" in answer.text("detail")


def test_other_kinds_of_bodies_get_advice(service: Service) -> None:
    answer = service.post("jobs", b"a=b", content_type="application/x-www-form-urlencoded")
    assert answer.status == 415
    assert "application/json" in answer.text("detail")


OPTIONS: list[tuple[dict[str, object], dict[str, str]]] = [
    ({"model": MODEL}, {"model": MODEL}),
    ({"params": {"texture": "HD"}}, {"params": '{"texture":"HD"}'}),
    ({"params": '{"texture":"HD"}'}, {"params": '{"texture":"HD"}'}),
    ({"params": {"what": 1}, "params_strict": False}, {"params": '{"what":1}', "params_strict": "false"}),
    ({"variants": 2}, {"variants": "2"}),
    ({"variants": "2"}, {"variants": "2"}),
    ({"metadata": {"sku": "A"}}, {"metadata": '{"sku":"A"}'}),
    ({"face_limit": 5000}, {"face_limit": "5000"}),
    ({"face_limit": 5000.0}, {"face_limit": "5000"}),
    ({"max_cost_usd": 1.5}, {"max_cost_usd": "1.5"}),
    ({"max_cost_usd": 2}, {"max_cost_usd": "2"}),
    ({"no_cache": True, "priority": "low"}, {"no_cache": "true", "priority": "low"}),
    ({"no_cache": "yes", "priority": None, "model": ""}, {"no_cache": "true"}),
    ({"remove_background": True, "crop": True}, {"remove_background": "true", "crop": "true"}),
    ({"pad_square": True, "confirm_prepared": False}, {"pad_square": "true"}),
    ({"webhook_url": "https://example.com/h"}, {"webhook_url": "https://example.com/h"}),
    ({"on_invalid": "skip"}, {"on_invalid": "skip"}),
]


@pytest.mark.parametrize(("options", "fields"), OPTIONS)
def test_each_option_does_what_it_does_in_a_form(
    service: Service, options: dict[str, object], fields: dict[str, str]
) -> None:
    sent = send(service, {"images": [{"data": DATA, "filename": "0.png"}], **options})
    form = service.upload(batch(1, **fields))
    assert (sent.status, form.status) == (202, 202), (sent.content, form.content)
    own = ("job_id", "created_at", "updated_at", "links", "images")
    assert {k: v for k, v in sent.body.items() if k not in own} == {
        k: v for k, v in form.body.items() if k not in own
    }
    assert sent.headers["location"] == f"/api/v1/status/{sent.text('job_id')}"
    for one, other in zip(images(sent), images(form), strict=True):
        assert one["preparation"] == other["preparation"]


def test_several_models_are_compared(service: Service) -> None:
    answer = send(service, {"images": [{"data": DATA}], "model": [MODEL, "fal-ai/trellis"]})
    assert answer.status == 202, answer.content
    assert [job["model"] for job in answer.items("jobs")] == [MODEL, "fal-ai/trellis"]
    assert len(service.stored()) == 2


def test_objects_with_views_of_both_kinds(service: Service) -> None:
    body = {
        "model": "fal-ai/hunyuan3d-v3/image-to-3d",
        "objects": [
            {
                "name": "chair",
                "metadata": {"sku": "C-7"},
                "views": [{"data": DATA, "side": "back"}, {"url": URL, "side": "front"}],
            }
        ],
        "images": [{"data": DATA, "filename": "lamp.png", "metadata": {"sku": "L-1"}}],
    }
    lamp, chair = images(send(service, body))
    assert (lamp["filename"], lamp["metadata"]) == ("lamp.png", {"sku": "L-1"})
    assert (chair["filename"], chair["metadata"], chair["size"]) == ("chair", {"sku": "C-7"}, None)
    assert [(one["side"], one["filename"], one["size"]) for one in chair["views"]] == [
        ("front", "chair.png", None),
        ("back", "image-2", len(PNG)),
    ]


def test_key_of_a_request_takes_the_address(service: Service) -> None:
    body = {"images": [{"url": URL}]}
    first = send(service, body, idempotency_key="one")
    again = send(service, body, idempotency_key="one")
    assert (again.status, again.headers["idempotent-replayed"]) == (202, "true")
    assert again.body == first.body
    other = send(service, {"images": [{"url": URL + "2"}]}, idempotency_key="one")
    assert (other.status, other.code) == (409, "idempotency_conflict")


def test_quote_says_what_can_be_said_without_fetching(service: Service) -> None:
    body = {"images": [{"url": URL}, {"data": DATA}, {"url": "https://127.0.0.1/a.png"}]}
    answer = send(service, body, "quote")
    assert answer.status == 200, answer.content
    assert (answer.body["accepted"], answer.body["total_cost_usd"]) == (False, 0.6)
    address, data, wrong = answer.items("images")
    assert (address["ok"], address["filename"], address["size"], address["cost_usd"]) == (
        True,
        "chair.png",
        None,
        0.3,
    )
    assert (data["size"], wrong["ok"], wrong["code"]) == (len(PNG), False, "image_unreadable")
    assert service.stored() == []


@pytest.mark.long
def test_body_of_more_than_64_mib_is_refused(make_service: MakeService) -> None:
    service = make_service(max_file_bytes="60MiB")
    answer = service.send(
        "POST",
        "/api/v1/jobs",
        None,
        {"Content-Type": "application/json", "Content-Length": str((64 << 20) + 1)},
    )
    assert (answer.status, answer.code) == (413, "body_too_large")


def test_picture_over_the_limit_is_refused_alone(make_service: MakeService) -> None:
    service = make_service(max_file_bytes="64KiB")
    large = base64.b64encode(PNG + bytes(70_000)).decode()
    answer = send(service, {"images": [{"data": large}, {"data": DATA}], "on_invalid": "skip"})
    assert len(images(answer)) == 1
    (rejected,) = answer.items("rejected")
    assert (rejected["file"], rejected["code"]) == ("image-1", "file_too_large")
