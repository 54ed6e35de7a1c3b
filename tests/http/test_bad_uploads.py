"""Every bad upload gets its documented answer, and a plain client that writes first receives it."""

import struct
import zlib
from collections.abc import Callable

import pytest

from tests.support.multipart_body import BOUNDARY, CONTENT_TYPE, Body
from tests.support.upload_edge import Edge, eventually, inspect, noise_png, picture

PNG, JPEG, WEBP = picture("PNG"), picture("JPEG"), picture("WEBP")
MIB = 1 << 20


def bomb() -> bytes:
    """A PNG that says it has 50,000 × 50,000 pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return PNG[:8] + chunk + PNG[33:]


def many(count: int) -> Body:
    body = Body()
    for index in range(count):
        body.file(f"{index}.png", PNG)
    return body


def nine_models() -> Body:
    body = many(1)
    for number in range(9):
        body.text("model", f"a/{number}")
    return body


BAD = {
    "empty file": (Body().file("a.png", b""), 422, "not_an_image"),
    "text named png": (Body().file("a.png", b"hello, this is only text\n" * 9), 422, "not_an_image"),
    "three bytes": (Body().file("a.png", b"abc"), 422, "not_an_image"),
    "random bytes": (Body().file("a.png", bytes(range(7, 207)) * 40), 422, "not_an_image"),
    "svg": (Body().file("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"), 422, "not_an_image"),
    "gif": (Body().file("a.gif", picture("GIF")), 422, "not_an_image"),
    "truncated png": (Body().file("a.png", PNG[:-30]), 422, "image_truncated"),
    "truncated jpeg": (Body().file("a.jpg", JPEG[:-200]), 422, "image_truncated"),
    "truncated webp": (Body().file("a.webp", WEBP[:-20]), 422, "image_truncated"),
    "pixel bomb": (Body().file("a.png", bomb()), 422, "image_too_large"),
    "no files": (Body().text("model", "x"), 422, "no_files"),
    "no parts": (Body(), 422, "no_files"),
    "26 files": (many(26), 422, "too_many_files"),
    "31 MB of a picture": (Body().file("a.png", noise_png(31 * MIB)), 413, "file_too_large"),
    "31 MB of zeros": (Body().file("a.png", bytes(31 * MIB)), 413, "file_too_large"),
    "40 MB": (Body().file("a.jpg", JPEG + bytes(40 * MIB)), 413, "file_too_large"),
    "one byte over": (Body().file("a.jpg", JPEG + bytes(30 * MIB + 1 - len(JPEG))), 413, "file_too_large"),
    "wrong field name": (
        Body().part('Content-Disposition: form-data; name="picture"; filename="a.png"', PNG),
        422,
        "invalid_parameter",
    ),
    "a field twice": (many(1).text("variants", "2").text("variants", "2"), 422, "invalid_parameter"),
    "nine models": (nine_models(), 422, "invalid_parameter"),
    "long field": (many(1).text("params", "x" * 70_000), 422, "invalid_parameter"),
    "field not UTF-8": (
        many(1).part('Content-Disposition: form-data; name="model"', b"\xff\xfe"),
        422,
        "invalid_parameter",
    ),
    "5,000 files": (many(5000), 422, "too_many_files"),
    "5,000 other parts": (
        Body([Body().text(f"x{n}", "y").open_ended() for n in range(5000)]),
        422,
        "invalid_multipart",
    ),
    "1 MB part header": (
        Body().part(f'Content-Disposition: form-data; name="files"; filename="{"a" * MIB}"', PNG),
        422,
        "invalid_multipart",
    ),
    "100 part headers": (
        Body().part(
            'Content-Disposition: form-data; name="files"\n' + "".join(f"X-{n}: y\n" for n in range(100)), PNG
        ),
        422,
        "invalid_multipart",
    ),
    "part without a disposition": (Body().part("Content-Type: image/png", PNG), 422, "invalid_multipart"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_upload_gets_its_documented_code(edge: Edge, name: str) -> None:
    body, status, code = BAD[name]
    answer = edge.post(bytes(body))
    assert (answer.status, answer.body["code"]) == (status, code), answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.body["request_id"] == answer.headers["x-request-id"]
    assert answer.body["detail"]
    assert edge.budget.held == 0


FRAMES = {
    "no closing boundary": (many(2).open_ended(), CONTENT_TYPE, 422, "invalid_multipart"),
    "cut off inside a file": (bytes(many(2))[:-120], CONTENT_TYPE, 422, "invalid_multipart"),
    "cut off inside a header": (bytes(many(1))[:40], CONTENT_TYPE, 422, "invalid_multipart"),
    "another boundary": (bytes(many(1)), "multipart/form-data; boundary=other", 422, "invalid_multipart"),
    "no boundary": (bytes(many(1)), "multipart/form-data", 422, "invalid_multipart"),
    "long boundary": (
        bytes(many(1)),
        f"multipart/form-data; boundary={'b' * 300}",
        422,
        "invalid_multipart",
    ),
    "empty body": (b"", CONTENT_TYPE, 422, "invalid_multipart"),
    "not multipart": (b'{"files": []}', "application/json", 415, "unsupported_media_type"),
    "other multipart": (
        bytes(many(1)),
        f"multipart/mixed; boundary={BOUNDARY}",
        415,
        "unsupported_media_type",
    ),
    "large and not multipart": (bytes(30 * MIB), "image/png", 415, "unsupported_media_type"),
}


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("http", ["httptools", "h11"])
def test_bad_frame_gets_its_documented_code(make_edge: Callable[..., Edge], name: str, http: str) -> None:
    body, content_type, status, code = FRAMES[name]
    answer = make_edge(http=http).post(body, content_type)
    assert (answer.status, answer.body["code"]) == (status, code), answer.body


def test_body_over_the_limit_is_refused_by_its_length_and_answered(make_edge: Callable[..., Edge]) -> None:
    edge = make_edge(max_file_bytes=MIB, max_total_bytes=2 * MIB)
    answer = edge.post(bytes(2 * MIB + 1))
    assert (answer.status, answer.body["code"]) == (413, "body_too_large")


def test_chunked_body_over_the_limit_is_refused_at_the_limit(make_edge: Callable[..., Edge]) -> None:
    edge = make_edge(max_file_bytes=MIB, max_total_bytes=2 * MIB)
    with edge.address.connect() as raw:
        raw.sendall(
            b"POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
            b"Content-Type: " + CONTENT_TYPE.encode() + b"\r\n\r\n"
        )
        raw.sendall(b"210001\r\n" + bytes(0x210001) + b"\r\n0\r\n\r\n")
        assert b" 413 " in raw.recv(65536)


def test_every_bad_file_is_named_and_the_first_gives_the_code(edge: Edge) -> None:
    body = Body().file("good.png", PNG).file("cut.jpg", JPEG[:-200]).file("no.txt", b"text " * 20)
    answer = edge.post(bytes(body.file("huge.jpg", JPEG + bytes(31 * MIB))))
    assert (answer.status, answer.body["code"]) == (422, "image_truncated")
    errors = answer.body["errors"]
    assert isinstance(errors, list)
    assert [(fault["file"], fault["code"]) for fault in errors] == [
        ("cut.jpg", "image_truncated"),
        ("no.txt", "not_an_image"),
        ("huge.jpg", "file_too_large"),
    ]


def test_skip_may_come_after_the_files(edge: Edge) -> None:
    body = Body().file("no.txt", b"text " * 20).file("good.png", PNG).text("on_invalid", "skip")
    answer = edge.post(bytes(body))
    assert answer.status == 202
    assert answer.body["rejected"] == [["no.txt", "not_an_image"]]
    assert edge.stored == {1: PNG}


def test_nothing_is_stored_after_a_parameter_was_refused(edge: Edge) -> None:
    answer = edge.post(bytes(Body().text("colour", "red").file("good.png", PNG)))
    assert answer.body["code"] == "invalid_parameter"
    assert edge.stored == {}


def test_too_many_files_is_known_before_the_rest_arrives(edge: Edge) -> None:
    """The 26th part's header is enough: all memory is back while the client still sends."""
    body = many(26).open_ended()
    with edge.address.connect() as raw:
        raw.sendall(
            b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n"
            b"Content-Type: " + CONTENT_TYPE.encode() + b"\r\n\r\n" + body
        )
        eventually(lambda: bool(edge.stored), "files are handed on as they complete")
        eventually(lambda: edge.budget.held == 0, "memory is released")
        raw.sendall(bytes(50_000_000 - len(body)))
        assert b" 422 " in raw.recv(65536)


def test_the_test_pictures_are_good() -> None:
    assert {inspect(data).format for data in (PNG, JPEG, WEBP, noise_png(MIB))} == {"png", "jpeg", "webp"}
