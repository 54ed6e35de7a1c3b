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


@pytest.mark.parametrize("text", [b"", b"{}", b' {"size": 3}'])
def test_text_in_the_place_of_a_file_is_none(service: Service, text: bytes) -> None:
    """A script appends an empty value; FilePond says something of each file before it."""
    body = Body().part('Content-Disposition: form-data; name="files"', text).file("a.png", picture(1))
    job = service.upload(body)
    assert job.status == 202, job.body
    assert [image["filename"] for image in job.items("images")] == ["a.png"]
    alone = service.upload(Body().part('Content-Disposition: form-data; name="files"', text))
    assert (alone.status, alone.code) == (422, "no_files")


@pytest.mark.parametrize("name", ["model[]", "model[0]", "model"])
def test_models_come_as_an_array(service: Service, name: str) -> None:
    body = (
        Body()
        .file("a.png", picture(1))
        .text(name, "fal-ai/trellis")
        .text(name.replace("0", "1"), "fal-ai/triposr")
    )
    answer = service.upload(body.text("metadata{}", '{"order": 7}'))
    assert answer.status == 202, answer.body
    jobs = answer.items("jobs")
    assert [job["model"] for job in jobs] == ["fal-ai/trellis", "fal-ai/triposr"]
    assert [job["metadata"] for job in jobs] == [{"order": 7}] * 2


@pytest.mark.parametrize("name", ["params[seed]", "metadata[order]", "manifest[files][0][part]"])
def test_object_taken_apart_is_told_to_be_json(service: Service, name: str) -> None:
    answer = service.upload(Body().file("a.png", picture(1)).text(name, "3"))
    assert (answer.status, answer.code) == (422, "invalid_parameter")
    assert f"Send `{name.partition('[')[0]}` as one field that holds a JSON object" in answer.text("detail")


@pytest.mark.parametrize(
    ("charset", "codec"), [("windows-1252", "cp1252"), ("Shift_JIS", "cp932"), ("ISO-8859-1", "latin-1")]
)
def test_form_in_another_charset_says_which(service: Service, charset: str, codec: str) -> None:
    name = "椅子" if codec == "cp932" else "größer"
    parts = [
        'Content-Disposition: form-data; name="_charset_"\r\n\r\n' + charset,
        f'Content-Disposition: form-data; name="metadata"\r\n\r\n{{"what": "{name}"}}',
        f'Content-Disposition: form-data; name="files"; filename="{name}.png"\r\n\r\n',
    ]
    head = "--edge-of-the-part\r\n"
    body = "".join(f"{head}{part}\r\n" for part in parts).encode(codec)[:-2]
    job = service.upload(body + picture(1) + b"\r\n--edge-of-the-part--\r\n")
    assert job.status == 202, job.body
    assert job.body["metadata"] == {"what": name}
    assert job.items("images")[0]["filename"] == f"{name}.png"


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("ISO-8859-1", "latin-1"),
        ("utf-16", "utf-16-le"),
        ("utf-16", "utf-16"),
        ('"UTF-8"', "utf-8-sig"),
        ("us-ascii", "utf-8"),
        ("nonsense", "utf-8"),
    ],
)
def test_part_in_another_charset_says_which(service: Service, charset: str, codec: str) -> None:
    """Java's HttpClient writes texts in ISO-8859-1 by default, .NET whatever encoding it is given."""
    head = f'Content-Disposition: form-data; name="metadata"\nContent-Type: text/plain; charset={charset}'
    job = service.upload(Body().part(head, '{"what": "größer"}'.encode(codec)).file("a.png", picture(1)))
    assert job.status == 202, job.body
    assert job.body["metadata"] == {"what": "größer"}


@pytest.mark.parametrize("charset", ["", "utf-8", "utf-7", "rot13", "\xff", "x" * 70_000])
def test_unknown_charset_changes_nothing(service: Service, charset: str) -> None:
    body = Body().text("_charset_", charset).file("größer.png", picture(1))
    assert service.upload(body).items("images")[0]["filename"] == "größer.png"
    wrong = Body().text("_charset_", charset).file("a.png", picture(1))
    answer = service.upload(wrong.part('Content-Disposition: form-data; name="metadata"', b"\xff"))
    assert (answer.status, answer.text("detail")) == (
        422,
        "`metadata` is not UTF-8 text. Send the form as UTF-8.",
    )


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
