"""The XML interface of Google Cloud Storage on loopback.

No registry has an emulator of it that obstore can write to: those there are speak the JSON interface. Google
made the XML one compatible with S3, so moto serves it, behind what differs: bearer tokens and signed URLs of
a service account, which are verified here, headers named `x-goog-…`, and a 404 for deleting what is missing:
https://cloud.google.com/storage/docs/interoperability
"""

import base64
import hashlib
import json
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

Environ = dict[str, Any]
StartResponse = Callable[..., Any]

_RENAMED: Final = {"HTTP_X_GOOG_COPY_SOURCE": "HTTP_X_AMZ_COPY_SOURCE"}
_MOTOS: Final = (
    "AWS4-HMAC-SHA256 Credential=a/20200101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
)


class Google(NamedTuple):
    """Its address, and the JSON of a service account that it knows."""

    url: str
    service_account: str


@contextmanager
def google_storage() -> Iterator[Google]:
    """A Google Cloud Storage without buckets; gone with all its data at the end."""
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    key = rsa.generate_private_key(65537, 2048)
    moto = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, _Front(moto, key.public_key()), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Google(f"http://127.0.0.1:{server.server_port}", account(key))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def account(key: rsa.RSAPrivateKey) -> str:
    """The JSON file of a service account with this key."""
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return json.dumps(
        {
            "type": "service_account",
            "client_email": "tests@example.iam.gserviceaccount.com",
            "private_key_id": "1",
            "private_key": pem.decode(),
        }
    )


class _Front:
    """Verifies a request, and gives it to moto as one of S3."""

    def __init__(self, moto: Any, public_key: rsa.RSAPublicKey) -> None:
        self._moto = moto
        self._key = public_key

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        token = environ.pop("HTTP_AUTHORIZATION", "")
        if not (self._is_bearer(token) if token else self._is_signed(environ)):
            return _refused(start_response, "401 Unauthorized", "AuthenticationRequired")
        query = parse_qsl(environ["QUERY_STRING"], keep_blank_values=True)
        environ["QUERY_STRING"] = urlencode([pair for pair in query if not pair[0].startswith("X-Goog-")])
        for name in ("REQUEST_URI", "RAW_URI"):  # moto takes the name of a bucket undecoded
            environ[name] = quote(environ["PATH_INFO"].encode("latin-1").decode())
        for theirs, ours in _RENAMED.items():
            if theirs in environ:
                environ[ours] = environ.pop(theirs)
        environ["HTTP_HOST"] = "127.0.0.1"  # it takes other hosts for names of buckets
        environ["HTTP_AUTHORIZATION"] = _MOTOS  # moto verifies nothing, but shows nothing to nobody
        if environ.pop("HTTP_X_GOOG_IF_GENERATION_MATCH", None) == "0":
            environ["HTTP_IF_NONE_MATCH"] = "*"
        if environ["REQUEST_METHOD"] == "DELETE" and not query and not self._exists(environ):
            environ["REQUEST_METHOD"] = "GET"  # whose 404 says what is missing
        answer: Iterable[bytes] = self._moto(environ, start_response)
        return answer

    def _exists(self, environ: Environ) -> bool:
        seen: list[str] = []
        for _ in self._moto({**environ, "REQUEST_METHOD": "HEAD"}, lambda status, *_: seen.append(status)):
            pass
        return seen[0].startswith("200")

    def _is_bearer(self, header: str) -> bool:
        """A JSON web token that the account signed: https://google.aip.dev/auth/4111"""
        signed, _, signature = header.removeprefix("Bearer ").rpartition(".")
        return self._verified(base64.urlsafe_b64decode(signature + "=="), signed.encode())

    def _is_signed(self, environ: Environ) -> bool:
        """A URL that it signed: https://cloud.google.com/storage/docs/authentication/canonical-requests"""
        query = dict(parse_qsl(environ["QUERY_STRING"], keep_blank_values=True))
        if environ["REQUEST_METHOD"] == "PUT" and not query:
            return str(environ["PATH_INFO"]).count("/") == 1  # the tests' own: makes a bucket
        signature = query.pop("X-Goog-Signature", "")
        pairs = "&".join(
            f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(query.items())
        )
        path = environ["REQUEST_URI"].partition("?")[0]
        canonical = f"GET\n{path}\n{pairs}\nhost:{environ['HTTP_HOST']}\n\nhost\nUNSIGNED-PAYLOAD"
        scope = query.get("X-Goog-Credential", "").partition("/")[2]
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = "\n".join(["GOOG4-RSA-SHA256", query.get("X-Goog-Date", ""), scope, digest])
        return self._verified(bytes.fromhex(signature), text.encode())

    def _verified(self, signature: bytes, text: bytes) -> bool:
        try:
            self._key.verify(signature, text, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        return True


def _refused(start_response: StartResponse, status: str, code: str) -> Iterable[bytes]:
    body = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code></Error>".encode()
    start_response(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return [body]
