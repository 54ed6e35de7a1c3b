"""A client's name is shown, and is never more than its last segment."""

import pytest

from image2model.http.upload import UploadLimits
from image2model.http.upload.form import MAX_NAME_BYTES, FormParser, PartStart, display_name

NAMES = {
    'filename="chair.png"': "chair.png",
    'filename="../../etc/passwd"': "passwd",
    r'filename="C:\x\a.png"': "a.png",
    r'filename="\\server\share\a.png"': "a.png",
    'filename="a%22b.png"': 'a"b.png',
    r'filename="a\"b.png"': 'a"b.png',
    'filename="50%25 off.png"': "50%25 off.png",
    'filename="größer.png"': "größer.png",
    "filename=plain.png": "plain.png",
    "filename*=UTF-8''gr%C3%B6%C3%9Fer.png": "größer.png",
    "filename=\"x.png\"; filename*=UTF-8''%E6%A4%85.png": "椅.png",
    "filename*=UTF-8''..%2F..%2Fpasswd": "passwd",
    "filename*=utf-8'en'a%FFb.png": "a\ufffdb.png",
    "filename*=iso-8859-1''gr%F6%DFer.png": "größer.png",
    "filename=\"x.png\"; filename*=nonsense''a.png": "x.png",
    "filename=\"x.png\"; filename*=u\x00tf''a.png": "x.png",
    'filename="a\tb\x00c\x7f.png"': "abc.png",
    'filename="a\u202egnp.exe"': "agnp.exe",
    'filename="a%0D%0Ab.png"': "ab.png",
    'filename=""': "image-3",
    'filename=".."': "image-3",
    'filename="photos/"': "image-3",
    "": "image-3",
}


def shown(parameter: str) -> str:
    """The name by the whole way: header bytes, parser, display name."""
    head = f"--b\r\nContent-Disposition: form-data; name=files; {parameter}\r\n\r\nx"
    start = next(iter(FormParser(b"b", UploadLimits()).events(head.encode())))
    assert isinstance(start, PartStart)
    return display_name(start.filename, start.disposition, 2)


@pytest.mark.parametrize("parameter", NAMES)
def test_name_is_its_visible_last_segment(parameter: str) -> None:
    assert shown(parameter) == NAMES[parameter]
    assert not set(shown(parameter)) & set("/\\\x00\r\n\u202e")


def test_bytes_that_are_not_utf8_still_give_a_name() -> None:
    assert display_name("gr\xf6\xdf.png", "", 0).endswith(".png")


@pytest.mark.parametrize("name", ["x" * 3000 + ".png", "椅" * 200 + ".jpeg", "a." + "b" * 900])
def test_long_name_is_cut_and_keeps_its_extension(name: str) -> None:
    cut = display_name(name.encode().decode("latin-1"), "", 0)
    assert len(cut.encode()) <= MAX_NAME_BYTES
    extension = name.rpartition(".")[2]
    assert len(extension) > 8 or cut.endswith("." + extension)
