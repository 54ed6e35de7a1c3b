"""Which addresses may be called in a client's name."""

import pytest

from image2model.errors import InvalidParameter
from image2model.jobs.batch_request import check_webhook_url
from image2model.network.public_addresses import is_public, redacted_url


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946"])
def test_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",  # noqa: S104
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",  # a cloud's metadata
        "100.64.0.1",  # carrier-grade NAT
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",  # IPv4-mapped: refused whatever it holds
        "64:ff9b::7f00:1",  # NAT64
        "64:ff9b:1::1",
        "2001::1",  # Teredo
        "2001:db8::1",
        "2002:7f00:1::",  # 6to4
        "3fff::1",
        "fc00::1",
        "fd12::1",
        "fe80::1",
        "fe80::1%lo",
        "fec0::1",
        "ff02::1",
        "not an address",
        "",
    ],
)
def test_any_other_address_is_not(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hook",
        "https://127.0.0.1/hook",
        "https://127.0.0.1./hook",
        "https://127.1/hook",
        "https://0x7f000001/hook",
        "https://2130706433/hook",
        "https://[::1]/hook",
        "https://[::ffff:8.8.8.8]/hook",
        "https://localhost/hook",
        "https://db.internal/hook",
        "https://user:secret@example.com/hook",
        "https://example.com:22/hook",
        "https://example.com:0/hook",
        "https://example.com:99999/hook",
        "/hook",
    ],
)
def test_unfit_url_is_refused_at_the_door(url: str) -> None:
    with pytest.raises(InvalidParameter):
        check_webhook_url(url, allow_private=False)


@pytest.mark.parametrize(
    "url", ["https://example.com/hook?token=1", "https://example.com:8443", "https://8.8.8.8/"]
)
def test_fit_url_is_taken(url: str) -> None:
    check_webhook_url(url, allow_private=False)


def test_log_shows_no_secret_of_a_url() -> None:
    text = redacted_url("https://ann:pass@example.com:8443/hook?token=secret#part")
    assert text == "https://example.com:8443/hook?…"
