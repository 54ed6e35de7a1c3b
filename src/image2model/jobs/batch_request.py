"""What a client asks for with a batch: the form's fields, checked and made canonical.

Who calls it: the acceptance of a batch, and the quote. Pure. Raises InvalidParameter or UnknownModel with
what to do instead.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from image2model.errors import InvalidParameter
from image2model.fal.endpoints import DEFAULT_MODEL, Endpoint, Scalar, endpoint_of, normalise
from image2model.network.public_addresses import url_problem

T = TypeVar("T")
_FACES: Final = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_params = msgspec.json.Decoder(dict[str, object])


class BatchRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A batch without its pictures. `skip_invalid`: bad files are left out instead of refusing all."""

    endpoint: Endpoint
    params: dict[str, Scalar]
    low_priority: bool
    no_cache: bool
    webhook_url: str | None
    skip_invalid: bool

    def estimate(self, images: int) -> int | None:
        """Micro-dollars for so many images by the price list; None where only the run tells."""
        each = self.endpoint.price(self.params)
        return None if each is None else each * images

    @property
    def reservation(self) -> int:
        """Micro-dollars that a budget sets aside for each image."""
        return self.endpoint.reservation(self.params)


def read_fields(fields: Mapping[str, str], *, private_webhooks: bool) -> BatchRequest:
    """Read the form's fields. Raises UnknownModel, InvalidParameter."""
    endpoint = endpoint_of(fields.get("model", DEFAULT_MODEL))
    face_limit = _face_limit(fields.get("face_limit"))
    params = normalise(endpoint, _read_params(fields.get("params", "{}")), face_limit)
    webhook_url = fields.get("webhook_url")
    if webhook_url is not None:
        check_webhook_url(webhook_url, allow_private=private_webhooks)
    return BatchRequest(
        endpoint=endpoint,
        params=params,
        low_priority=_choice(fields, "priority", {"normal": False, "low": True}),
        no_cache=_choice(fields, "no_cache", {"false": False, "true": True}),
        webhook_url=webhook_url,
        skip_invalid=_choice(fields, "on_invalid", {"reject": False, "skip": True}),
    )


def _read_params(text: str) -> dict[str, object]:
    return decoded(_params.decode, text, '`params` must be a JSON object such as {"texture": "HD"}')


def decoded(decode: Callable[[str], T], text: str, refusal: str) -> T:
    """A client's JSON. Raises InvalidParameter: the refusal, and what is wrong."""
    try:
        return decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidParameter(f"{refusal}: {str(error)[:200]}") from error


def _face_limit(text: str | None) -> int | None:
    if text is None:
        return None
    if not _FACES.fullmatch(text):
        raise InvalidParameter(f"`face_limit` must be a positive whole number, not {text[:32]!r}.")
    return int(text)


def _choice(fields: Mapping[str, str], name: str, meanings: dict[str, bool]) -> bool:
    default = next(iter(meanings))
    text = fields.get(name, default)
    if text not in meanings:
        raise InvalidParameter(f"`{name}` must be {' or '.join(meanings)}, not {text[:32]!r}.")
    return meanings[text]


def digest(
    sha256: str, model: str, params: Mapping[str, object], *, owner: str, dedupe: str, no_cache: bool
) -> str:
    """Hex SHA-256 over all of it; empty where nothing may be reused.

    `dedupe` is `I2M_DEDUPE`: under `owner` another key's results do not exist, under `global` they do.
    """
    if no_cache or dedupe == "off":
        return ""
    whose = owner if dedupe == "owner" else ""
    text = msgspec.json.encode([whose, model, dict(params), sha256], order="sorted")
    return hashlib.sha256(text).hexdigest()


def check_webhook_url(url: str, *, allow_private: bool) -> None:
    """Raises InvalidParameter unless the address may be called: see `network.public_url`.

    `allow_private` admits http and private addresses too.
    """
    why = url_problem(url, allow_private=allow_private)
    if why is not None:
        raise InvalidParameter(f"`webhook_url` {why}")


def shown(url: str) -> str:
    """The address as a log may show it: without user, password, query and fragment, where secrets hide."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    query = "?…" if parts.query else ""
    return f"{parts.scheme}://{host}{parts.path}{query}"
