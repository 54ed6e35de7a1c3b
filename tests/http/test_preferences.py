"""`Prefer: wait` (RFC 7240): which seconds a header means, and that nonsense means none."""

import pytest
from starlette.datastructures import Headers

from image2model.http.preferences import MAX_WAIT_S, wait_of


def asked(*values: str) -> int | None:
    return wait_of(Headers(raw=[(b"prefer", value.encode("latin-1")) for value in values]))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("wait=10", 10),
        ("wait=0", 0),
        ("wait=007", 7),
        ("Wait=10", 10),
        ("wait = 10", 10),
        ('wait="10"', 10),
        (" wait=10 ", 10),
        ("respond-async, wait=10", 10),
        ("respond-async,wait=10", 10),
        ("wait=10, respond-async", 10),
        ("wait=10; tag=x", 10),
        ('wait=10; tag="a, wait=3"', 10),
        ('foo="a, wait=3", wait=10', 10),
        (r'foo="a\", wait=3", wait=10', 10),
        ('handling=lenient; x="y", ,wait=10', 10),
        ("wait=10, wait=20", 10),
        (f"wait={MAX_WAIT_S}", MAX_WAIT_S),
        ("wait=51", MAX_WAIT_S),
        ("wait=" + "9" * 5000, MAX_WAIT_S),
        ("wait=" + "0" * 5000 + "7", 7),
        ("wait", MAX_WAIT_S),
        ("wait=", MAX_WAIT_S),
        ('wait=""', MAX_WAIT_S),
    ],
)
def test_seconds(value: str, seconds: int) -> None:
    assert asked(value) == seconds


@pytest.mark.parametrize(
    "value",
    [
        "",
        ",",
        "respond-async",
        "return=minimal",
        "wait=-1",
        "wait=1.5",
        "wait=soon",
        "wait=1e3",
        "wait=10s",
        "wait=10 20",
        "wait=²",
        "await=10",
        "waiting",
        "x; wait=10",
        'x="wait=10"',
        'wait="10',
        'x="a, wait=10',
        'x="a\\", wait=10',
        "=10",
        '"wait=10"',
    ],
)
def test_what_is_malformed_or_something_else_is_ignored(value: str) -> None:
    assert asked(value) is None


def test_no_header() -> None:
    assert wait_of(Headers({})) is None


def test_several_headers_are_one_list_and_the_first_value_counts() -> None:
    assert asked("respond-async", "wait=10") == 10
    assert asked("wait=20", "wait=10") == 20


@pytest.mark.parametrize(
    "value",
    [
        '"' * 60_000,
        "wait=" + '"a' * 30_000,
        "a;" * 30_000,
        "wait" + " " * 60_000 + "x",
        "wait=" + " " * 60_000 + "x y",
        'x="' + "\\" * 60_001,
    ],
)
def test_a_long_header_is_read_at_once(value: str) -> None:
    """In a time that grows with its length, not with the square of it: the deadline of tests is the bound."""
    for _ in range(20):
        asked(value)
