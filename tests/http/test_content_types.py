"""What is no form gets advice, and a form whose Content-Type is unusual is read."""

import base64
import gzip
import quopri

import pytest

from tests.support.multipart_body import CONTENT_TYPE, Body
from tests.support.upload_edge import Edge, picture

PNG = picture("PNG")
BODY = bytes(Body().file("a.png", PNG))


@pytest.mark.parametrize(
    ("content_type", "advice"),
    [
        ("", "The request has no Content-Type."),
        ("image/png", "A picture is not taken as the whole body."),
        ("application/octet-stream", "A picture is not taken as the whole body."),
        ("application/x-www-form-urlencoded", 'needs `enctype="multipart/form-data"`'),
        ("application/json", "application/json is not taken here."),
        ("multipart/mixed; boundary=edge-of-the-part", "multipart/mixed is not taken here."),
        ("multipart/related; boundary=edge-of-the-part", "multipart/related is not taken here."),
        ("text/plain", "text/plain is not taken here."),
    ],
)
def test_what_is_no_form_is_told_to_be_one(edge: Edge, content_type: str, advice: str) -> None:
    answer = edge.post(BODY, content_type)
    assert (answer.status, answer.body["code"]) == (415, "unsupported_media_type")
    assert advice in str(answer.body["detail"])
    assert "Send the pictures as multipart/form-data, in parts named `files`" in str(answer.body["detail"])


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "multipart/form-data;", "multipart/form-data; boundary="]
)
def test_form_without_a_boundary_is_told_who_knows_it(edge: Edge, content_type: str) -> None:
    answer = edge.post(BODY, content_type)
    assert (answer.status, answer.body["code"]) == (422, "invalid_multipart")
    assert "Do not set the header yourself" in str(answer.body["detail"])


@pytest.mark.parametrize(
    ("boundary", "written"),
    [
        ("edge", "edge"),
        ("edge", '"edge"; charset=UTF-8'),
        ("===============12==", "===============12=="),
        ("a/b:c?d='()+_,-.", "a/b:c?d='()+_,-."),
        ("a b", '"a b"'),
        ("'edge'", "'edge'"),
        ("e" * 200, "e" * 200),
    ],
)
def test_boundaries_are_read_as_libraries_write_them(edge: Edge, boundary: str, written: str) -> None:
    body = BODY.replace(b"edge-of-the-part", boundary.encode())
    answer = edge.post(body, f"Multipart/Form-Data; boundary={written}")
    assert answer.status == 202, answer.body
    assert edge.stored == {0: PNG}


def test_text_around_the_form_is_no_part(edge: Edge) -> None:
    answer = edge.post(b"This is a message.\r\n\r\n" + BODY + b"\r\nIts end.\r\n")
    assert answer.status == 202, answer.body
    assert edge.stored == {0: PNG}


def test_compressed_body_is_told_to_come_as_it_is(edge: Edge) -> None:
    answer = edge.post(gzip.compress(BODY), CONTENT_TYPE, {"Content-Encoding": "gzip"})
    assert (answer.status, answer.body["code"]) == (415, "unsupported_media_type")
    assert "compressed (gzip)" in str(answer.body["detail"])
    assert answer.headers["accept-encoding"] == "identity"
    assert edge.post(BODY, CONTENT_TYPE, {"Content-Encoding": "identity"}).status == 202


def test_parts_that_are_encoded_as_in_a_mail_are_decoded(edge: Edge) -> None:
    head = 'Content-Disposition: form-data; name="{}"\nContent-Transfer-Encoding: {}'
    body = Body().part(head.format('files"; filename="a.png', "base64"), base64.encodebytes(PNG))
    body.part(
        head.format("metadata", "quoted-printable"), quopri.encodestring('{"order": "Tür = 7"}'.encode())
    )
    body.part(head.format("model", "BASE64"), base64.b64encode(b"a/b"))
    answer = edge.post(bytes(body.part(head.format("no_cache", "8bit"), b"true")))
    assert answer.status == 202, answer.body
    assert edge.stored == {0: PNG}
    assert answer.body["fields"] == {"metadata": '{"order": "Tür = 7"}', "model": "a/b", "no_cache": "true"}


@pytest.mark.parametrize(
    ("encoding", "payload", "advice"),
    [
        ("base64", PNG, "is not base64"),
        ("base64", b"QUJ", "is not base64"),
        ("x-uuencode", PNG, "'x-uuencode', which is not known"),
    ],
)
def test_part_in_no_known_encoding_is_refused(edge: Edge, encoding: str, payload: bytes, advice: str) -> None:
    head = f'Content-Disposition: form-data; name="files"\nContent-Transfer-Encoding: {encoding}'
    answer = edge.post(bytes(Body().part(head, payload)))
    assert (answer.status, answer.body["code"]) == (422, "invalid_multipart")
    assert advice in str(answer.body["detail"])
    assert edge.budget.held == 0
