"""Clients that are libraries of a language, each driven by a program in `clients`, or in tests/npm."""

import sys
from dataclasses import replace
from typing import Final

from tests.bodies.client import PROGRAMS, Client, compiled, program
from tests.bodies.pictures import SHOWN
from tests.support.npm import FOLDER as NPM

_JARS: Final = (
    *("httpclient", "httpcore", "httpmime", "okhttp", "okio", "commons-logging", "commons-codec"),
    *("spring3-web", "spring3-core", "spring3-beans", "javax.mail", "javax.activation"),
)
_CLASSES: Final = ":".join(f"/usr/share/java/{name}.jar" for name in _JARS)


def _python(way: str) -> Client:
    return Client(f"Python {way}", program(sys.executable, PROGRAMS / "send.py", way))


def _node(way: str) -> Client:
    return Client(f"Node {way}", program("node", NPM / "send.mjs", way))


def _script(language: str, interpreter: str, file: str, way: str) -> Client:
    return Client(f"{language} {way}", program(interpreter, PROGRAMS / file, way), heavy=True)


_go = compiled(
    "send-go",
    lambda built: ["env", f"GOCACHE={built.parent}/go", "go", "build", "-o", built, PROGRAMS / "send.go"],
    lambda built: [built],
)
_mono = compiled(
    "Send.exe",
    lambda built: ["mcs", "-r:System.Net.Http", f"-out:{built}", PROGRAMS / "Send.cs"],
    lambda built: ["mono", built],
)
_nim = compiled(
    "send-nim",
    lambda built: [
        *("nim", "c", "--hints:off", "--checks:off", "--stackTrace:off", "--lineTrace:off"),
        *(f"--nimcache:{built.parent}/nim", f"-o:{built}", PROGRAMS / "send.nim"),
    ],
    lambda built: [built],
)
_pascal = compiled(
    "send-pascal",
    lambda built: ["fpc", "-v0", f"-FU{built.parent}", f"-o{built}", PROGRAMS / "send.pas"],
    lambda built: [built],
)
_java_program = compiled(
    "Send.class",
    lambda built: ["javac", "-nowarn", "-cp", _CLASSES, "-d", built.parent, PROGRAMS / "Send.java"],
    lambda built: ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{_CLASSES}:{built.parent}", "Send"],
)


def _java(way: str, *shown: str) -> Client:
    return Client(f"Java {way}", _java_program(way), heavy=True, shown=shown or SHOWN)


def _by_hand(client: Client) -> Client:
    """The library knows no forms: the program writes the body, as programs do then."""
    return replace(client, kind="shape", origin="written by hand in the program")


CLIENTS: Final = (
    *map(
        _python,
        ("requests", "requests-toolbelt", "httpx", "httpx-without-type", "aiohttp", "aiohttp-unquoted"),
    ),
    *map(_python, ("urllib3", "urllib3-rfc2231", "email")),
    _by_hand(_python("http.client")),
    *map(
        _node, ("fetch", "undici", "axios-form-data", "axios-postForm", "got", "got-form-data", "form-data")
    ),
    *map(_node, ("superagent", "ky", "node-fetch")),
    replace(_node("needle"), any_order=True),
    *(_script("PHP", "php", "send.php", way) for way in ("curl", "guzzle", "symfony")),
    _by_hand(_script("PHP", "php", "send.php", "stream")),
    *(
        _script("Ruby", "ruby", "send.rb", way)
        for way in ("net-http", "rest-client", "faraday", "http.rb", "httparty", "httpclient", "typhoeus")
    ),
    *(_script("Perl", "perl", "send.pl", way) for way in ("lwp", "mojo", "http-tiny")),
    Client("Go mime/multipart", _go("mime/multipart"), heavy=True),
    # .NET refuses a name with quotes
    Client(".NET HttpClient", _mono("HttpClient"), heavy=True, pictures=(0, 2), shown=(SHOWN[0], SHOWN[2])),
    Client(".NET WebClient", _mono("WebClient"), heavy=True, pictures=(0,), shown=SHOWN[:1], fields=False),
    _java("STRICT", "Stuhl gr??er.png", '??; 100% "neu".png', "? 'c'.png"),  # ASCII alone
    *map(_java, ("BROWSER_COMPATIBLE", "RFC6532", "okhttp", "spring")),
    _by_hand(_java("java.net.http")),
    Client("Nim httpclient", _nim("httpclient"), heavy=True),
    Client("Pascal TFPHTTPClient", _pascal("TFPHTTPClient"), heavy=True, pictures=(0,), shown=SHOWN[:1]),
    _script("GNOME", "/usr/bin/python3", "send_soup.py", "libsoup"),
)
