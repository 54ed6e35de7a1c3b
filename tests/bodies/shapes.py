"""Bodies that we write in the form of libraries that cannot run here; `origin`: where the form was read."""

import quopri
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tests.bodies.client import Client, Sent
from tests.bodies.relay import exchange

_FIELDS: Final = {"metadata": '{"order": "Tür 7"}', "model": "", "no_cache": "True"}
Encode = Callable[[str], str]


@dataclass(frozen=True)
class Shape:
    """How a library writes a form.

    `file` and `field` are the header lines of a part, with `{name}` and `{filename}`; `filename` writes a
    file's name, `text` a field's value. `before` stands before the first boundary. `chunk`: bytes in a chunk,
    0 for none.
    """

    boundary: str
    file: str
    field: str = 'Content-Disposition: form-data; name="{name}"'
    filename: Encode = str
    text: Callable[[str], bytes] = str.encode
    before: bytes = b""
    content_type: str = "multipart/form-data; boundary={boundary}"
    part: str = "files"
    chunk: int = 0
    headers: str = ""

    def body(self, paths: list[Path]) -> bytes:
        """The whole form."""
        edge = b"--" + self.boundary.encode()
        parts = [(self.field.format(name=name), self.text(value)) for name, value in _FIELDS.items()] + [
            (self.file.format(name=self.part, filename=self.filename(path.name)), path.read_bytes())
            for path in paths
        ]
        lines = (edge + b"\r\n" + head.encode() + b"\r\n\r\n" + payload + b"\r\n" for head, payload in parts)
        return self.before + b"".join(lines) + edge + b"--\r\n"

    def send(self, url: str, paths: list[Path], _folder: Path) -> Sent:
        """Write it to the service."""
        body, where = self.body(paths), urlsplit(url)
        head = f"POST {where.path} HTTP/1.1\r\nHost: {where.netloc}\r\nConnection: close\r\n{self.headers}"
        head += f"Content-Type: {self.content_type.format(boundary=self.boundary)}\r\n"
        head += "Transfer-Encoding: chunked\r\n" if self.chunk else f"Content-Length: {len(body)}\r\n"
        return Sent(
            "", exchange(url, head.encode() + b"\r\n" + (_chunked(body, self.chunk) if self.chunk else body))
        )


def _chunked(body: bytes, size: int) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def _browser(name: str) -> str:
    return name.replace('"', "%22")


def _q_word(name: str) -> str:
    """RFC 2047 with the whole name in one word, as Unity writes it."""
    return (
        "=?utf-8?Q?"
        + "".join(f"={byte:02X}" if byte > 126 or byte in b'"=?_ ' else chr(byte) for byte in name.encode())
        + "?="
    )


def _b_word(name: str) -> str:
    return f"=?UTF-8?B?{b64encode(name.encode()).decode()}?="


_DISPOSITION: Final = 'Content-Disposition: form-data; name="{name}"; filename="{filename}"'
_PLAIN: Final = f"{_DISPOSITION}\r\nContent-Type: image/png"

_SHAPES: Final = {
    "Dart http": (
        Shape(
            boundary="dart-http-boundary-" + "aZ0_-.+" * 7 + "ab",
            file=f"content-type: image/png\r\n{_DISPOSITION.lower()}",
            field='content-disposition: form-data; name="{name}"\r\n'
            "content-type: text/plain; charset=utf-8\r\ncontent-transfer-encoding: binary",
            filename=_browser,
        ),
        "http's multipart_request.dart",
    ),
    "Swift Alamofire": (
        Shape(boundary="alamofire.boundary.0a1b2c3d4e5f6071", file=_PLAIN),
        "Alamofire's MultipartFormData.swift",
    ),
    "Unity WWWForm": (
        Shape(
            boundary="k2Vb0Qh9sWm4Zx7Rt1Lp6Ny3Cd8Gf5Ja0Ue2Io4Bq",
            file=f"Content-Type: image/png\r\n{_DISPOSITION}",
            field='Content-Type: text/plain; charset="utf-8"\r\n'
            'Content-disposition: form-data; name="{name}"',
            filename=_q_word,
            before=b"\r\n",
            content_type='multipart/form-data; boundary="{boundary}"',
        ),
        "UnityEngine's WWWForm.cs",
    ),
    "Delphi Indy": (
        Shape(
            boundary="--------112926112233444",
            file=f"{_PLAIN}\r\nContent-Transfer-Encoding: binary",
            field='Content-Disposition: form-data; name="{name}"\r\nContent-Type: text/plain\r\n'
            "Content-Transfer-Encoding: quoted-printable",
            filename=_b_word,
            text=lambda value: quopri.encodestring(value.encode(), quotetabs=True),
        ),
        "Indy's IdMultipartFormData.pas",
    ),
    "PowerShell scripts": (
        Shape(
            boundary="2f6a3f0e-8b1d-4c55-9a67-0d8c1f2e3b4a",
            file=f"{_DISPOSITION}\r\nContent-Type: application/octet-stream",
            filename=_b_word,
            headers="Expect: 100-continue\r\n",
        ),
        "Posh-IBWAPI's New-MultipartFileContent.ps1, and .NET's names as Mono writes them",
    ),
    "Rust reqwest": (
        Shape(
            boundary="5c1a2e7f8d90b3a4-1f2e3d4c5b6a7980-0a1b2c3d4e5f6071-8f9e0d1c2b3a4958",
            file=_PLAIN,
            filename=lambda name: name.replace("\\", "\\\\").replace('"', '\\"'),
            chunk=1000,
        ),
        "reqwest's multipart.rs",
    ),
    "Python 2 email, boundary without quotes": (
        Shape(boundary="===============1234567890123456789==", file=_PLAIN, filename=_browser),
        "email.generator's boundaries",
    ),
    "RFC 2046's characters in a boundary": (
        Shape(
            boundary="gc0p4Jq0M2Yt08j'()+_,-./:=? 7",
            file=_PLAIN,
            filename=_browser,
            content_type='Multipart/Form-Data; charset=UTF-8; boundary="{boundary}"',
            chunk=1,
        ),
        "RFC 2046, section 5.1.1",
    ),
}

CLIENTS: Final = tuple(
    Client(name, shape.send, "shape", origin=origin) for name, (shape, origin) in _SHAPES.items()
)
