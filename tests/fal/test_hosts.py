"""Which hosts get the key, and from which results may come."""

import pytest

from image2model.fal.hosts import FalHosts

REAL = FalHosts.at(None)
LOCAL = FalHosts.at("http://127.0.0.1:8001/")


@pytest.mark.parametrize(
    "url", ["https://queue.fal.run/x", "https://queue.falrun.com/x", REAL.rest, REAL.api]
)
def test_fals_own_hosts_get_the_key(url: str) -> None:
    assert REAL.may_see_key(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://queue.fal.run/x",
        "https://evilfal.run/x",
        "https://fal.run.evil.example/x",
        "https://fal.run@evil.example/x",
        "https://queue.fal.run:8443/x",
        "https://v3.fal.media/x",
        "https://[broken",
        "",
    ],
)
def test_nobody_else_gets_the_key(url: str) -> None:
    assert not REAL.may_see_key(url)


@pytest.mark.parametrize(
    "url", ["https://v3.fal.media/a.glb", "https://fal.media/a", "https://v3b.fal.media/a"]
)
def test_media_hosts_serve_results(url: str) -> None:
    assert REAL.serves_media(url)
    assert LOCAL.serves_media(url)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://v3.fal.media/a",
            "https://evil.example/a",
            "file:///etc/passwd",
            "https://fal.media.evil/a",
        ),
        # to a browser these begin with another host, or are no URL at all
        *("https://evil.example\\.fal.media/a", "https://evil.example\\@v3.fal.media/a"),
        *(
            "https://evil.example%5C.fal.media/a",
            "https://v3.fal.media/a\r\nX: 1",
            "https://v3.fal.media/\u6a21",
        ),
        *("https://u:p@v3.fal.media/a", "https://v3.fal.media:444/a", ""),
    ],
)
def test_other_hosts_do_not(url: str) -> None:
    assert not REAL.serves_media(url)


def test_one_base_stands_for_all_and_only_it_gets_the_key() -> None:
    assert (LOCAL.queue, LOCAL.api) == ("http://127.0.0.1:8001", "http://127.0.0.1:8001/v1")
    assert LOCAL.may_see_key("http://127.0.0.1:8001/x")
    assert LOCAL.serves_media("http://127.0.0.1:8001/files/a")
    assert not LOCAL.may_see_key("http://127.0.0.1:8002/x")
    assert not LOCAL.may_see_key("https://queue.fal.run/x")


def test_namespaced_endpoints_keep_three_segments() -> None:
    assert REAL.requests_url("workflows/me/mine/x") == "https://queue.fal.run/workflows/me/mine/requests"
    assert REAL.requests_url("fal-ai/meshy/v6/image-to-3d") == "https://queue.fal.run/fal-ai/meshy/requests"
