"""Forms as ordinary clients send them: other part names, unused inputs, flags, hidden fields."""

import pytest

from tests.support.multipart_body import Body
from tests.support.served_api import Service
from tests.support.sketches import picture


def part(body: Body, name: str, filename: str, data: bytes) -> Body:
    return body.part(f'Content-Disposition: form-data; name="{name}"; filename="{filename}"', data)


@pytest.mark.parametrize(
    "name",
    [
        "files",
        "files[]",
        "files[0]",
        "files[12]",
        "file",
        "file[]",
        "image",
        "images",
        "images[]",
        "images[1]",
    ],
)
def test_files_come_under_the_names_that_libraries_give_them(service: Service, name: str) -> None:
    body = part(part(Body(), name, "a.png", picture(1)), name, "b.png", picture(2))
    job = service.upload(body)
    assert job.status == 202, job.body
    assert [image["filename"] for image in job.items("images")] == ["a.png", "b.png"]


@pytest.mark.parametrize("name", ["filess", "files[x]", "files[0][1]", "picture", "Files"])
def test_other_names_are_refused(service: Service, name: str) -> None:
    answer = service.upload(part(Body(), name, "a.png", picture(1)))
    assert (answer.status, answer.code) == (422, "invalid_parameter")
    assert "`files`" in answer.text("detail")


def test_what_a_plain_html_form_sends_for_unused_inputs_counts_as_not_sent(service: Service) -> None:
    body = Body().file("a.png", picture(1)).file("", b"")
    for name in (
        "model",
        "params",
        "face_limit",
        "webhook_url",
        "metadata",
        "manifest",
        "variants",
        "no_cache",
    ):
        body.text(name, "")
    body.text("_charset_", "utf-8")
    job = service.upload(body)
    assert job.status == 202, job.body
    assert [image["filename"] for image in job.items("images")] == ["a.png"]


def test_file_without_a_name_that_has_bytes_is_a_file(service: Service) -> None:
    job = service.upload(Body().file("", picture(1)))
    assert [image["filename"] for image in job.items("images")] == ["image-1"]


def test_form_with_unused_inputs_alone_has_no_file(service: Service) -> None:
    answer = service.upload(Body().file("", b""))
    assert (answer.status, answer.code) == (422, "no_files")


@pytest.mark.parametrize(
    ("text", "crop"),
    [
        ("true", True),
        ("True", True),
        ("1", True),
        ("on", True),
        ("YES", True),
        ("off", False),
        ("False", False),
    ],
)
def test_flags_are_as_people_write_them(service: Service, text: str, crop: bool) -> None:
    job = service.upload(Body().file("a.png", picture(1)).text("crop", text).text("no_cache", text))
    assert job.status == 202, job.body
    (image,) = job.items("images")
    assert (image["preparation"] is not None) is crop


@pytest.mark.parametrize("text", ["maybe", "2", "tru", "[]"])
def test_anything_else_is_no_flag(service: Service, text: str) -> None:
    answer = service.upload(Body().file("a.png", picture(1)).text("no_cache", text))
    assert (answer.status, answer.code) == (422, "invalid_parameter")
    assert "`no_cache` must be true or false" in answer.text("detail")
