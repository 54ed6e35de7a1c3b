"""Uploads pictures as Python programs do: `python send.py LIBRARY URL FILE...`.

Prints the version, then the answer.
"""

import asyncio
import http.client
import importlib.metadata
import platform
import sys
from collections.abc import Callable
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import HTTP
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import httpx
import requests
import urllib3
from requests_toolbelt import MultipartEncoder  # type: ignore[import-untyped]
from urllib3.fields import RequestField, format_header_param_rfc2231

FIELDS = {"metadata": '{"order": "Tür 7"}', "model": "", "no_cache": str(True)}


def by_requests(url: str, paths: list[Path]) -> str:
    """Whole files in memory, as most scripts do it."""
    return requests.post(
        url, data=FIELDS, files=[("files", path.open("rb")) for path in paths], timeout=30
    ).text


def by_toolbelt(url: str, paths: list[Path]) -> str:
    """A body that is read while it is sent."""
    files = [("files", (path.name, path.open("rb"), "image/png")) for path in paths]
    form = MultipartEncoder([*FIELDS.items(), *files])
    return requests.post(url, data=form, headers={"Content-Type": form.content_type}, timeout=30).text


def by_httpx(url: str, paths: list[Path]) -> str:
    """The same with httpx."""
    return httpx.post(url, data=FIELDS, files=[("files", path.open("rb")) for path in paths], timeout=30).text


def by_httpx_without_type(url: str, paths: list[Path]) -> str:
    """Bytes with a name, whose type nobody said, under the name that a list has in PHP."""
    files = [("files[]", (path.name, path.read_bytes(), "")) for path in paths]
    return httpx.post(url, data=FIELDS, files=files, timeout=30).text


def by_aiohttp(url: str, paths: list[Path]) -> str:
    """Its default: names are percent-encoded as a whole."""
    return asyncio.run(_aiohttp(url, paths, aiohttp.FormData()))


def by_aiohttp_unquoted(url: str, paths: list[Path]) -> str:
    """Names as they are."""
    return asyncio.run(_aiohttp(url, paths, aiohttp.FormData(quote_fields=False)))


async def _aiohttp(url: str, paths: list[Path], form: aiohttp.FormData) -> str:
    for name, value in FIELDS.items():
        form.add_field(name, value)
    for path in paths:
        form.add_field("files", path.read_bytes(), filename=path.name, content_type="image/png")
    async with aiohttp.ClientSession() as session, session.post(url, data=form) as answer:
        return await answer.text()


def by_urllib3(url: str, paths: list[Path]) -> str:
    """A list of tuples."""
    files = [("files", (path.name, path.read_bytes(), "image/png")) for path in paths]
    return urllib3.request("POST", url, fields=[*FIELDS.items(), *files], timeout=30).data.decode()


def by_urllib3_rfc2231(url: str, paths: list[Path]) -> str:
    """With `filename*`, which was its default before version 1.25, and so that of requests."""
    parts = []
    for path in paths:
        part = RequestField(
            "files", path.read_bytes(), path.name, header_formatter=format_header_param_rfc2231
        )
        part.make_multipart(content_type="image/png")
        parts.append(part)
    return urllib3.request("POST", url, fields=[*FIELDS.items(), *parts], timeout=30).data.decode()


def by_email(url: str, paths: list[Path]) -> str:
    """The form as a message of the standard library: payloads are encoded as base64, and say so."""
    form = MIMEMultipart("form-data")
    for name, value in FIELDS.items():
        text = MIMEText(value, "plain", "utf-8")
        text.add_header("Content-Disposition", "form-data", name=name)
        form.attach(text)
    for path in paths:
        file = MIMEApplication(path.read_bytes(), "png")
        file.add_header("Content-Disposition", "form-data", name="files", filename=path.name)
        form.attach(file)
    body = form.as_bytes(policy=HTTP).partition(b"\r\n\r\n")[2]
    return _post(url, body, form["Content-Type"])


def by_hand(url: str, paths: list[Path]) -> str:
    """The recipe for programs that may only have the standard library."""
    lines: list[bytes] = []
    for name, value in FIELDS.items():
        lines += [b"--cut", f'Content-Disposition: form-data; name="{name}"'.encode(), b"", value.encode()]
    for path in paths:
        about = f'Content-Disposition: form-data; name="files"; filename="{path.name}"'
        lines += [b"--cut", about.encode(), b"Content-Type: image/png", b"", path.read_bytes()]
    return _post(url, b"\r\n".join([*lines, b"--cut--", b""]), "multipart/form-data; boundary=cut")


def _post(url: str, body: bytes, content_type: str) -> str:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    connection.request("POST", urlsplit(url).path, body, {"Content-Type": content_type})
    answer = connection.getresponse().read().decode()
    connection.close()
    return answer


WAYS: dict[str, tuple[str, Callable[[str, list[Path]], str]]] = {
    "requests": ("requests", by_requests),
    "requests-toolbelt": ("requests-toolbelt", by_toolbelt),
    "httpx": ("httpx", by_httpx),
    "httpx-without-type": ("httpx", by_httpx_without_type),
    "aiohttp": ("aiohttp", by_aiohttp),
    "aiohttp-unquoted": ("aiohttp", by_aiohttp_unquoted),
    "urllib3": ("urllib3", by_urllib3),
    "urllib3-rfc2231": ("urllib3", by_urllib3_rfc2231),
    "email": ("", by_email),
    "http.client": ("", by_hand),
}


def main(way: str, url: str, *paths: str) -> None:
    """Send, and print."""
    package, send = WAYS[way]
    version = (
        f"{package} {importlib.metadata.version(package)}"
        if package
        else f"Python {platform.python_version()}"
    )
    sys.stdout.write(f"{version}\n{send(url, [Path(path) for path in paths])}")


main(*sys.argv[1:])
