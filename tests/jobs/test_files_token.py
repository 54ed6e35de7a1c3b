"""Tokens grant one file until a moment, and nobody can make another."""

import string

import pytest

from image2model.errors import Expired, NotFound
from image2model.jobs.files import FileGrant, sign, verify

SECRET = b"s" * 32
TOKEN = sign(SECRET, "results/j/i/model.glb", "stühl 椅子.glb", "model/gltf-binary", 2_000)


def test_token_grants_what_was_signed_until_it_expires() -> None:
    grant = FileGrant("results/j/i/model.glb", "stühl 椅子.glb", "model/gltf-binary", 2_000)
    assert verify(SECRET, TOKEN, 1_999.9) == grant
    for now in (2_000, 3_000):
        with pytest.raises(Expired):
            verify(SECRET, TOKEN, now)


def test_token_is_stable_short_and_safe_in_a_url() -> None:
    assert sign(SECRET, "results/j/i/model.glb", "stühl 椅子.glb", "model/gltf-binary", 2_000) == TOKEN
    assert set(TOKEN) <= set(string.ascii_letters + string.digits + "-_")
    assert len(TOKEN) < 140


def test_any_other_token_is_not_found() -> None:
    others = {TOKEN[:n] + char + TOKEN[n + 1 :] for n in range(len(TOKEN)) for char in "Aq_"} - {TOKEN}
    others |= {TOKEN[:n] for n in range(len(TOKEN))} | {TOKEN + "A", TOKEN + "=", "", "ü", "x" * 9_999, "a.b"}
    others |= {sign(b"t" * 32, "results/j/i/model.glb", "a", "b", 2_000)}
    for other in others:
        with pytest.raises(NotFound):
            verify(SECRET, other, 0)
