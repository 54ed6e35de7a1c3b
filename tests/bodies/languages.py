"""Clients that are libraries of a language, each driven by a program in `clients`, or in tests/npm."""

import sys
from pathlib import Path
from typing import Final

from tests.bodies.client import PROGRAMS, Client, compiled, program
from tests.support.npm import FOLDER as NPM

_JARS: Final = "httpclient httpcore httpmime okhttp okio spring-web spring-core spring-beans commons-logging commons-codec"


def _python(way: str) -> Client:
    return Client(f"Python {way}", program(sys.executable, PROGRAMS / "send.py", way))


def _node(way: str) -> Client:
    return Client(f"Node {way}", program("node", NPM / "send.mjs", way))


def _script(language: str, interpreter: str, file: str, way: str) -> Client:
    return Client(f"{language} {way}", program(interpreter, PROGRAMS / file, way), heavy=True)


_go = compiled(lambda built: ["env", f"GOCACHE={built.parent}/go-cache", "go", "build", "-o", built, PROGRAMS / "send.go"], "send-go")
_mono = compiled(lambda built: ["mcs", "-r:System.Net.Http", f"-out:{built}", PROGRAMS / "Send.cs"], "Send.exe", "mono")
_nim = compiled(
    lambda built: ["nim", "c", "--hints:off", f"--nimcache:{built.parent}/nim-cache", f"-o:{built}", PROGRAMS / "send.nim"],
    "send-nim",
)
_pascal = compiled(lambda built: ["fpc", "-v0", f"-FU{built.parent}", f"-o{built}", PROGRAMS / "send.pas"], "send-pascal")


def _java(way: str) -> Client:
    jars = ":".join(f"/usr/share/java/{name}.jar" for name in _JARS.split())
    return Client(f"Java {way}", program("java", "-cp", jars, PROGRAMS / "Send.java", way), heavy=True)


CLIENTS: Final = (
    *map(_python, ("requests", "requests-toolbelt", "httpx", "httpx-without-type", "aiohttp", "aiohttp-unquoted")),
    *map(_python, ("urllib3", "urllib3-rfc2231", "email", "http.client")),
    *map(_node, ("fetch", "undici", "axios-form-data", "axios-postForm", "got", "got-form-data", "form-data")),
    *map(_node, ("superagent", "needle", "ky", "node-fetch")),
    *(_script("PHP", "php", "send.php", way) for way in ("curl", "guzzle", "symfony", "stream")),
    *(
        _script("Ruby", "ruby", "send.rb", way)
        for way in ("net-http", "rest-client", "faraday", "http.rb", "httparty", "httpclient", "typhoeus")
    ),
    *(_script("Perl", "perl", "send.pl", way) for way in ("lwp", "mojo", "http-tiny")),
    Client("Go mime/multipart", _go("mime/multipart"), heavy=True),
    Client(".NET HttpClient", _mono("HttpClient"), heavy=True),
    Client(".NET WebClient", _mono("WebClient"), heavy=True, shown=("Stuhl größer.png",), fields=False),
    *map(_java, ("STRICT", "BROWSER_COMPATIBLE", "RFC6532", "okhttp", "spring", "java.net.http")),
    Client("Nim httpclient", _nim("httpclient"), heavy=True),
    Client("Pascal TFPHTTPClient", _pascal("TFPHTTPClient"), heavy=True, shown=("Stuhl größer.png",)),
    _script("GNOME", "/usr/bin/python3", "send_soup.py", "libsoup"),
)
