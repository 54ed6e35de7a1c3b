#!/bin/sh
# How five Python clients write the file name `ü "b" c\d 100%.png` into a form. httpx 0.28.1 mixes two rules in one name: a
# quote becomes %22 as in the HTML standard, and a backslash is doubled as in RFC 2616's quoted strings. So neither rule
# alone gives the name back. requests and urllib3 follow HTML, aiohttp encodes the whole name unless told otherwise, and
# then follows RFC 2616. We had guessed that each library follows one rule, and the larger ones the same.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet httpx==0.28.1 requests==2.34.2 urllib3==2.8.0 aiohttp==3.14.5
cat > "$folder/try.py" <<'PY'
import asyncio
from importlib.metadata import version

import aiohttp
import httpx
import requests
import urllib3

NAME = 'ü "b" c\\d 100%.png'
URL = "http://127.0.0.1/"


def shown(client: str, body: bytes) -> None:
    head = next(line for line in body.decode().split("\r\n") if "filename" in line)
    print(client, head.partition("filename")[2])


async def by_aiohttp(quoted: bool) -> bytes:
    form = aiohttp.FormData(quote_fields=quoted)
    form.add_field("files", b"abc", filename=NAME)
    written = bytearray()

    class Writer:
        async def write(self, data: bytes) -> None:
            written.extend(data)

    await form().write(Writer())
    return bytes(written)


print(*(f"{name} {version(name)}" for name in ("httpx", "requests", "urllib3", "aiohttp")))
shown("httpx   ", httpx.Request("POST", URL, files={"files": (NAME, b"abc")}).read())
shown("requests", requests.Request("POST", URL, files={"files": (NAME, b"abc")}).prepare().body)
shown("urllib3 ", urllib3.encode_multipart_formdata({"files": (NAME, b"abc")})[0])
shown("aiohttp ", asyncio.run(by_aiohttp(True)))
shown("aiohttp, quote_fields=False", asyncio.run(by_aiohttp(False)))
PY
"$folder/env/bin/python" "$folder/try.py" | tee "$folder/seen"
cat > "$folder/expected" <<'TEXT'
httpx 0.28.1 requests 2.34.2 urllib3 2.8.0 aiohttp 3.14.5
httpx    ="ü %22b%22 c\\d 100%.png"
requests ="ü %22b%22 c\d 100%.png"
urllib3  ="ü %22b%22 c\d 100%.png"
aiohttp  ="%C3%BC%20%22b%22%20c%5Cd%20100%25.png"
aiohttp, quote_fields=False ="ü \"b\" c\\d 100%.png"
TEXT
diff "$folder/expected" "$folder/seen"
