"""The caller's own data on jobs and images: how it is read, and how jobs are found by it.

Nothing here decides what is generated, and no log may hold any of it. Pure. Raises InvalidParameter with what
to do instead; a refusal names keys, never values.
"""

import hashlib
import re
from collections.abc import Iterable
from typing import Final

import msgspec

from image2model.domain import EXACT_INTEGERS, Metadata, metadata_text
from image2model.errors import InvalidParameter
from image2model.store.keys import METADATA_TOKEN_DIGITS

MAX_BYTES: Final = 4 << 10
"""The size of one object as compact JSON in UTF-8."""
MAX_KEY: Final = 64
MAX_FILTERS: Final = 16
FILTER: Final = "metadata."
"""A query's parameter with this prefix is a filter: `metadata.sku=A-1`."""
_KEY: Final = re.compile(rf"[A-Za-z0-9_.-]{{1,{MAX_KEY}}}", re.ASCII)
_KEY_WORDS: Final = f"1 to {MAX_KEY} characters of A-Z a-z 0-9 _ . -"


def read_metadata(text: str) -> Metadata:
    """Read the form's field `metadata`; an empty one is none. Raises InvalidParameter."""
    if not text.strip():
        return {}
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidParameter(
            f'`metadata` must be a JSON object such as {{"sku": "A-1"}}: {str(error)[:200]}'
        ) from error
    return check_metadata(value, "`metadata`")


def check_metadata(value: object, where: str) -> Metadata:
    """Check decoded JSON. `where` names it in the refusal. Raises InvalidParameter."""
    if not isinstance(value, dict):
        raise InvalidParameter(f'{where} must be a JSON object such as {{"sku": "A-1"}}.')
    for name, one in value.items():
        if not _KEY.fullmatch(name):
            raise InvalidParameter(f"{where} has the key {name[:80]!r}. Use keys of {_KEY_WORDS}.")
        _check_value(one, f"`{name}` in {where}")
    if (size := len(msgspec.json.encode(value))) > MAX_BYTES:
        raise InvalidParameter(
            f"{where} has {size} bytes as JSON, and may have {MAX_BYTES}. Send less, such as an id."
        )
    return value


def _check_value(value: object, where: str) -> None:
    if isinstance(value, (dict, list)):
        raise InvalidParameter(
            f"{where} is {'an object' if isinstance(value, dict) else 'a list'}. Use a string, a number, "
            "true, false or null; nested data fits into a string of JSON."
        )
    if isinstance(value, int) and abs(value) >= EXACT_INTEGERS:
        raise InvalidParameter(f"{where} is a number that many JSON readers round. Send it as a string.")


def read_filters(query: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The tokens of a query's `metadata.KEY=VALUE`, of which a job must have all. Raises InvalidParameter."""
    pairs = {(name.removeprefix(FILTER), value) for name, value in query if name.startswith(FILTER)}
    if len(pairs) > MAX_FILTERS:
        raise InvalidParameter(f"A list takes at most {MAX_FILTERS} filters `{FILTER}KEY=VALUE`.")
    for name, _ in pairs:
        if not _KEY.fullmatch(name):
            raise InvalidParameter(f"`{FILTER}{name[:80]}` is no filter. Its key must be of {_KEY_WORDS}.")
    return tuple(sorted(_token(name, value) for name, value in pairs))


def tokens(*objects: Metadata) -> list[str]:
    """One token for each different pair of key and value, by which the store finds the job."""
    return sorted({_token(name, metadata_text(value)) for one in objects for name, value in one.items()})


def comparison_token(comparison_id: str) -> str:
    """By which the store finds the jobs of one comparison. No pair of key and value has it."""
    return hashlib.sha256(msgspec.json.encode(["comparison", comparison_id, None])).hexdigest()[
        :METADATA_TOKEN_DIGITS
    ]


def _token(name: str, text: str) -> str:
    """64 bits in hexadecimal. Two pairs with one token could only mix up one owner's own list."""
    return hashlib.sha256(msgspec.json.encode([name, text])).hexdigest()[:METADATA_TOKEN_DIGITS]
