"""The short run: a few hundred bodies and files. `make fuzz` runs the long one, guided by coverage."""

import os

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.fuzz.bodies import GOOD_PICTURES, bodies, manifests, pictures
from tests.fuzz.targets import manifest, sniff, upload
from tests.support import pictures as makers

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "150"))
SHORT = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.mark.long
@SHORT
@given(body=bodies, pieces=st.integers(1, 9))
async def test_any_body_is_read_or_refused(body: bytes, pieces: int) -> None:
    await upload(body, pieces)


@SHORT
@given(text=manifests, parts=st.integers(1, 6))
@example('{"objects": [' + '{"views": [' * 5_000, 1)
def test_any_manifest_is_read_or_refused(text: str, parts: int) -> None:
    manifest(text, parts)


@SHORT
@given(data=pictures)
@example(makers.png_bomb())
@example(makers.jpeg_bomb())
@example(makers.webp_bomb())
@example(b"GIF89a" + b"\x00" * 20 + GOOD_PICTURES[0])
@example(GOOD_PICTURES[0] + b"<script>alert(1)</script>" + GOOD_PICTURES[1])
def test_any_file_is_known_or_refused(data: bytes) -> None:
    found = sniff(data)
    assert found is None or (found.width > 0 and found.height > 0)
