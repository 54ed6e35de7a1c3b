"""Results: the files found, FAL's failures told apart, and nothing bought because a fetch failed."""

import msgspec
import pytest

from image2model.errors import FalError, FalRejected, FalResultGone, FalTransient
from image2model.fal.endpoints import DEFAULT_MODEL
from image2model.fal.errors import FalCancelled, FalUnfinished, FalUnreachable, FalUnreadable
from image2model.fal.follow import CancelReply
from image2model.fal.gateway import FalGateway
from image2model.fal.hosts import FalHosts
from image2model.fal.results import FalResult, parse_output
from tests.fal.buyer import Buyer
from tests.fal.conftest import FAST
from tests.support.emulator_process import KEY, EmulatorProcess
from tests.support.endpoints import ENDPOINTS, endpoint_of
from tests.support.raw_server import Exchange, raw_server

TRIPO = endpoint_of(DEFAULT_MODEL)


RUN_BY_A_PICTURE = [
    one for one in ENDPOINTS.values() if one.picture and not one.params_schema.get("required")
]


@pytest.mark.parametrize("model", [one.id for one in RUN_BY_A_PICTURE if not one.removes_background])
async def test_every_endpoints_result_has_a_model_first(model: str, buyer: Buyer, fal: FalGateway) -> None:
    result = await fal.result(endpoint_of(model), await buyer.buy(model))
    assert result.files[0].kind == "model"
    assert result.model is result.files[0]
    assert len({file.url for file in result.files}) == len(result.files)


@pytest.mark.parametrize("model", [one.id for one in RUN_BY_A_PICTURE if one.removes_background])
async def test_what_removes_backgrounds_gives_a_picture_and_no_model(
    model: str, buyer: Buyer, fal: FalGateway
) -> None:
    result = await fal.result(endpoint_of(model), await buyer.buy(model))
    assert result.model is None
    assert result.cutout is result.files[0]
    assert (result.cutout.kind, result.cutout.field) == ("cutout", "image")


async def test_null_mesh_is_found_in_the_pbr_model(
    buyer: Buyer, fal: FalGateway, emulator: EmulatorProcess
) -> None:
    emulator.fault("null_mesh", count=1)
    result = await fal.result(TRIPO, await buyer.buy())
    assert result.model is not None


@pytest.mark.parametrize(
    ("kind", "expected", "status"),
    [
        ("422", FalRejected, 422),
        ("500", FalTransient, 500),
        ("504", FalTransient, 504),
        ("runner_503", FalTransient, 503),
        ("result_expired", FalResultGone, 404),
    ],
)
async def test_failure_of_the_request_is_told_as_fal_tells_it(
    kind: str, expected: type[FalError], status: int, buyer: Buyer, fal: FalGateway, emulator: EmulatorProcess
) -> None:
    emulator.fault(kind, count=1)
    request = await buyer.buy()
    with pytest.raises(expected) as caught:
        await fal.result(TRIPO, request)
    assert caught.value.status == status
    assert caught.value.message


async def test_asked_too_early_it_is_unfinished(
    buyer: Buyer, fal: FalGateway, emulator: EmulatorProcess
) -> None:
    emulator.settings(latency=5)
    await buyer.upload()
    request = await buyer.submit()
    with pytest.raises(FalUnfinished):
        await fal.result(TRIPO, request)


async def test_cancelled_request_ends_as_cancelled(
    buyer: Buyer, fal: FalGateway, emulator: EmulatorProcess
) -> None:
    emulator.settings(latency=30)
    await buyer.upload()
    request = await buyer.submit()
    assert await fal.cancel(request) is CancelReply.REQUESTED
    await buyer.follow(request)
    with pytest.raises(FalCancelled):
        await fal.result(TRIPO, request)


async def test_ignored_cancel_ends_with_a_result(
    buyer: Buyer, fal: FalGateway, emulator: EmulatorProcess
) -> None:
    emulator.settings(latency=0.4)
    emulator.fault("cancel_ignored", count=1)
    await buyer.upload()
    request = await buyer.submit()
    assert await fal.cancel(request) is CancelReply.REQUESTED
    await buyer.follow(request)
    assert (await fal.result(TRIPO, request)).model is not None


async def test_cancel_tells_finished_and_unknown_apart(buyer: Buyer, fal: FalGateway) -> None:
    assert await fal.cancel(await buyer.buy()) is CancelReply.ALREADY_COMPLETED
    unknown = fal.hosts.request(DEFAULT_MODEL, "00000000-0000-0000-0000-000000000000")
    assert await fal.cancel(unknown) is CancelReply.NOT_FOUND


Answer = tuple[str, bytes, dict[str, str]]


async def fetched(*replies: Answer | None) -> FalResult:
    """The result at a server that gives these replies, the last one for ever; None drops the connection."""
    waiting = list(replies)

    async def script(exchange: Exchange) -> None:
        reply = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if reply is not None:
            await exchange.reply(reply[0], reply[1], **reply[2])

    async with (
        raw_server(script) as server,
        FalGateway(KEY, FalHosts.at(server.url), pace=FAST, result_deadline=0.5) as gateway,
    ):
        return await gateway.result(TRIPO, gateway.hosts.request(DEFAULT_MODEL, "r"))


GOOD: Answer = ("200 OK", b'{"model_mesh":{"url":"https://v3.fal.media/a.glb","file_size":9.0,"odd":1}}', {})
RUNNING = b'{"status":"IN_PROGRESS","request_id":"r","logs":null}'
NGINX: Answer = ("503 x", b"<html>nginx</html>", {})


@pytest.mark.parametrize(
    "first", [NGINX, ("429 x", b"", {}), ("401 x", b"{}", {}), ("200 OK", b"{", {}), None]
)
async def test_fetch_that_fails_is_repeated_on_the_same_request(
    first: Answer | None,
) -> None:
    result = await fetched(first, GOOD)
    assert result.files[0].file_size == 9


@pytest.mark.parametrize("reply", [NGINX, ("403 x", b"{}", {}), ("200 OK", b"", {}), None])
async def test_result_that_cannot_be_fetched_is_no_failure_of_the_request(
    reply: Answer | None,
) -> None:
    with pytest.raises(FalUnreachable):
        await fetched(reply)


async def test_single_404_is_asked_again() -> None:
    assert (await fetched(("404 x", b"{}", {}), GOOD)).model is not None


BARE: Answer = ("500 x", b"Internal Server Error", {})
"""As a proxy between us and FAL may give it: nothing shows that it is FAL's."""


async def test_failure_that_may_be_a_proxys_word_is_believed_once_it_is_repeated() -> None:
    assert (await fetched(BARE, BARE, GOOD)).model is not None
    with pytest.raises(FalTransient):
        await fetched(BARE)


async def test_5xx_from_fal_itself_is_a_definite_failure() -> None:
    body = b'{"detail":"runner died","error_type":"runner_disconnected"}'
    with pytest.raises(FalTransient) as caught:
        await fetched(("503 x", body, {"x_fal_request_id": "r"}))
    assert caught.value.fal_type == "runner_disconnected"


async def test_5xx_that_fal_calls_lasting_is_final() -> None:
    with pytest.raises(FalRejected):
        await fetched(("500 x", b'{"detail":"x"}', {"X_Fal_Retryable": "false"}))


async def test_output_without_a_model_has_no_model_and_billable_units_are_read() -> None:
    result = await fetched(("200 OK", b'{"model_mesh":null,"pbr_model":7}', {"X_Fal_Billable_Units": "2.5"}))
    assert (result.model, result.billable_units) == (None, 2.5)


async def test_base_model_is_a_kind_of_its_own_beside_the_model() -> None:
    body = b'{"pbr_model":{"url":"https://a/p"},"base_model":{"url":"https://a/b"},"rendered_image":{"url":"https://a/i"}}'
    result = await fetched(("200 OK", body, {}))
    assert [(file.kind, file.url) for file in result.files] == [
        ("model", "https://a/p"),
        ("preview", "https://a/i"),
        ("base", "https://a/b"),
    ]


@pytest.mark.parametrize("body", [b"<html>sign in</html>", b"", b"null", b'{"model_mesh":{"url":"https://v3'])
async def test_what_is_no_result_is_unreadable(body: bytes) -> None:
    with pytest.raises(FalUnreadable):
        await fetched(("200 OK", body, {}))


@pytest.mark.parametrize("reply", [("202 Accepted", RUNNING, {}), ("200 OK", RUNNING, {})])
async def test_state_in_place_of_a_result_is_unfinished(reply: Answer) -> None:
    with pytest.raises(FalUnfinished):
        await fetched(reply)


async def test_result_that_is_a_list_holds_its_files() -> None:
    result = await fetched(("200 OK", b'[{"url":"https://a/x.png"},{"url":"https://a/m.glb"}]', {}))
    assert [(file.kind, file.url) for file in result.files] == [
        ("model", "https://a/m.glb"),
        ("file", "https://a/x.png"),
    ]


@pytest.mark.parametrize(
    ("body", "message", "fal_type"),
    [
        (b'{"error":"out of memory"}', "out of memory", None),
        (
            b'{"detail":"no object found","error_type":"no_media_generated"}',
            "no object found",
            "no_media_generated",
        ),
        (b'{"detail":[{"msg":"blurred","type":"image_too_small"}]}', "blurred", "image_too_small"),
        (b'{"error":{"message":"flagged as NSFW","code":7}}', "flagged as NSFW", None),
        (b'"the model refused"', "the model refused", None),
    ],
)
async def test_error_with_200_keeps_its_words(body: bytes, message: str, fal_type: str | None) -> None:
    result = await fetched(("200 OK", body, {}))
    assert result.files == ()
    assert result.error is not None
    assert (result.error.message, result.error.type) == (message, fal_type)


@pytest.mark.parametrize("body", [b"{}", b"[]", b"7", b'{"model_mesh":[]}', b'{"model_mesh":{"url":7}}'])
async def test_result_without_a_file_has_none(body: bytes) -> None:
    result = await fetched(("200 OK", body, {}))
    assert (result.files, result.error) == ((), None)


@pytest.mark.parametrize(
    ("header", "units"), [("0", 0.0), ("1.5", 1.5), ("-1", None), ("nan", None), ("inf", None), ("x", None)]
)
async def test_refusal_says_what_is_billed(header: str, units: float | None) -> None:
    with pytest.raises(FalRejected) as caught:
        await fetched(("422 x", b'{"detail":[{"msg":"bad"}]}', {"x_fal_billable_units": header}))
    assert caught.value.billable_units == units


@pytest.mark.parametrize(
    "more",
    [
        b'"timing":NaN',
        b'"prompt":"half \\ud800"',
        b'"prompt":"\xff"',
        b'"\\udc00":{"url":"https://a.example/b"}',
    ],
)
async def test_model_is_found_in_what_only_python_calls_json(more: bytes) -> None:
    """Python's servers write NaN and half surrogate pairs; the model beside them was paid for."""
    found = await parse_output(TRIPO, b'{"model_mesh":{"url":"https://v3.fal.media/m.glb"},' + more + b"}")
    assert found.model is not None
    assert found.model.url == "https://v3.fal.media/m.glb"
    assert msgspec.json.encode(found.files)


async def test_url_that_holds_half_a_surrogate_pair_can_be_stored() -> None:
    found = await parse_output(
        TRIPO, b'{"model_mesh":{"url":"https://v3.fal.media/\\ud800.glb","file_name":"\\ud800"}}'
    )
    assert found.model is not None
    assert (found.model.url, found.model.file_name) == ("https://v3.fal.media/?.glb", "?")
