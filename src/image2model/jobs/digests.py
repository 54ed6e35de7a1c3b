"""What makes two runs the same, so that one serves for both: hashes over all that decides a result. Pure."""

import hashlib
from collections.abc import Mapping, Sequence

import msgspec


def digest(
    sha256: str | None,
    model: str,
    params: Mapping[str, object],
    *,
    owner: str,
    dedupe: str,
    no_cache: bool,
    terms: Sequence[object] = (),
) -> str:
    """Hex SHA-256 over all that decides a result; empty where nothing may be reused, or the picture is not
    fetched yet. `terms`: what of a preparation decides it.

    `dedupe` is `I2M_DEDUPE`: under `owner` results of other owners are not reused, under `global` they are.
    """
    if no_cache or dedupe == "off" or sha256 is None:
        return ""
    scope = owner if dedupe == "owner" else ""
    decides: list[object] = [scope, model, dict(params), sha256]
    if any(terms):
        decides.append(terms)
    text = msgspec.json.encode(decides, order="sorted")
    return hashlib.sha256(text).hexdigest()


def variant_digest(plain: str, number: int, seed: int | None) -> str:
    """The digest of one variant, by the digest of a run without variants.

    The first one without a seed is such a run, and may reuse one.
    """
    if not plain or seed is not None or number == 1:
        return plain
    return hashlib.sha256(f"{plain} variant {number}".encode()).hexdigest()


def cutout_digest(sha256: str | None, remover: str, *, owner: str, dedupe: str, no_cache: bool) -> str:
    """What makes two cut-outs of a picture the same; empty as for `digest`."""
    if no_cache or dedupe == "off" or sha256 is None:
        return ""
    scope = owner if dedupe == "owner" else ""
    return hashlib.sha256(msgspec.json.encode(["cutout", scope, remover, sha256])).hexdigest()
