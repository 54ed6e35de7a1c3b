"""The session's cookie by its transport: `Secure`, and of this host alone, exactly where https was used."""

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookies import Morsel, SimpleCookie
from pathlib import Path

import msgspec
import pytest

from image2model import settings
from image2model.api.app import create_app
from image2model.up.store import EmbeddedStore
from tests.support.api_process import api_process
from tests.support.callers import ADMIN, SAME, keyed_settings, sign_in
from tests.support.served_api import Answer, Service
from tests.support.servers import Address, serving
from tests.support.webhook_receiver import certificate, trusting

PLAIN, BY_HTTPS = "i2m_session", "__Host-i2m_session"
HTTPS = {"X-Forwarded-Proto": "https"}


def cookie_of(answer: Answer) -> "Morsel[str]":
    """The one cookie that an answer sets: for the whole host, and for no other host of its domain."""
    (morsel,) = SimpleCookie(answer.headers["set-cookie"]).values()
    assert (morsel["path"], morsel["domain"], morsel["httponly"]) == ("/", "", True)
    assert morsel["samesite"] == "strict"
    return morsel


@contextmanager
def behind_proxy(valkey: EmbeddedStore, folder: Path, trusted: str) -> Iterator[Service]:
    """An API process that trusts these addresses. The tests' own is 127.0.0.1."""
    settings = keyed_settings(valkey.url, folder)
    with api_process(folder / "api.log", **settings, I2M_TRUSTED_PROXIES=trusted) as port:
        yield Service(Address("127.0.0.1", port), folder / "files")


def asked(service: Service, name: str, value: str, headers: dict[str, str]) -> int:
    return service.send("GET", "/api/v1/session", None, {"Cookie": f"{name}={value}", **headers}).status


def test_by_http_the_cookie_has_no_secure_and_a_plain_name(service: Service) -> None:
    morsel = cookie_of(sign_in(service, ADMIN))
    assert (morsel.key, morsel["secure"]) == (PLAIN, "")


def test_by_tls_the_cookie_is_secure_and_of_this_host_alone(valkey: EmbeddedStore, tmp_path: Path) -> None:
    given = {
        "redis_url": valkey.url,
        "storage_url": (tmp_path / "files").as_uri(),
        "auth": "keys",
        "admin_key": ADMIN,
    }
    pem = certificate(tmp_path, "localhost")
    with serving(create_app(settings.load({}, **given)), lifespan="on", certificate=pem) as address:
        connection = http.client.HTTPSConnection("localhost", address.port, timeout=20, context=trusting(pem))
        body = msgspec.json.encode({"key": ADMIN})
        connection.request("POST", "/api/v1/session", body)
        answer = connection.getresponse()
        answer.read()
        morsel = cookie_of(Answer(answer.status, {"set-cookie": str(answer.getheader("set-cookie"))}, b""))
        assert (morsel.key, morsel["secure"]) == (BY_HTTPS, True)
        connection.request("GET", "/api/v1/session", headers={"Cookie": f"{BY_HTTPS}={morsel.value}"})
        assert connection.getresponse().status == 200
        connection.close()


def test_behind_a_trusted_proxy_its_word_on_https_decides(valkey: EmbeddedStore, tmp_path: Path) -> None:
    with behind_proxy(valkey, tmp_path, "127.0.0.1") as service:
        by_https = cookie_of(sign_in(service, ADMIN, HTTPS))
        assert (by_https.key, by_https["secure"]) == (BY_HTTPS, True)
        for headers in ({}, {"X-Forwarded-Proto": "http"}):
            by_http = cookie_of(sign_in(service, ADMIN, headers))
            assert (by_http.key, by_http["secure"]) == (PLAIN, "")
        assert asked(service, BY_HTTPS, by_https.value, HTTPS) == 200
        for several, name in (("https, http", BY_HTTPS), ("HTTPS,http", BY_HTTPS), ("http,https", PLAIN)):
            assert cookie_of(sign_in(service, ADMIN, {"X-Forwarded-Proto": several})).key == name


def test_a_neighbours_cookie_is_not_taken_by_https(valkey: EmbeddedStore, tmp_path: Path) -> None:
    """Another host of the domain can set the plain name, for a longer path even; not the other."""
    with behind_proxy(valkey, tmp_path, "127.0.0.1") as service:
        planted = cookie_of(sign_in(service, ADMIN))
        assert asked(service, PLAIN, planted.value, HTTPS) == 401
        own = cookie_of(sign_in(service, ADMIN, HTTPS))
        both = f"{PLAIN}={planted.value}; {BY_HTTPS}={own.value}"
        out = service.send("DELETE", "/api/v1/session", None, {"Cookie": both, **HTTPS, **SAME})
        gone = cookie_of(out)
        assert (gone.key, gone["secure"], gone["max-age"]) == (BY_HTTPS, True, "0")
        assert asked(service, BY_HTTPS, own.value, HTTPS) == 401
        assert asked(service, PLAIN, planted.value, {}) == 200


@pytest.mark.parametrize("trusted", ["", "198.51.100.7"])
def test_nobody_elses_word_on_https_counts(valkey: EmbeddedStore, tmp_path: Path, trusted: str) -> None:
    with behind_proxy(valkey, tmp_path, trusted) as service:
        morsel = cookie_of(sign_in(service, ADMIN, {**HTTPS, "X-Forwarded-For": "198.51.100.7"}))
        assert (morsel.key, morsel["secure"]) == (PLAIN, "")
        assert asked(service, PLAIN, morsel.value, HTTPS) == 200
