"""Which endpoints a caller may use."""

import pytest

from image2model.access.principal import Principal
from image2model.catalogue import offer
from image2model.errors import Forbidden, InvalidParameter, UnknownModel
from image2model.fal.endpoints import Catalogue, Endpoint, EndpointSchema, Input, UnitPrice

PICTURE = (Input(name="image_url", role="picture", required=True),)


def endpoint(
    model: str = "a/b",
    *,
    usd: float | None = 0.5,
    inputs: tuple[Input, ...] = PICTURE,
    retired: int | None = None,
) -> Endpoint:
    schema = EndpointSchema(id=model, title=model, inputs=inputs, source="fal", retired_at=retired)
    prices = {} if usd is None else {model: UnitPrice(usd, "requests", "USD")}
    return Catalogue.of([schema], prices, updated_at=1, version="v").find(model)


@pytest.mark.parametrize(
    ("patterns", "allowed"),
    [
        ((), True),
        (("a/*",), True),
        (("c/*",), False),
        (("c/*", "a/b"), True),
        (("!a/*",), False),
        (("!c/*",), True),
        (("a/*", "!a/b"), False),
        (("*/B",), False),
    ],
)
def test_patterns_allow_and_hide(patterns: tuple[str, ...], allowed: bool) -> None:
    assert offer.on_offer(endpoint(), patterns) is allowed
    assert offer.for_key(endpoint(), (), patterns) is allowed


def test_default_offers_those_with_a_known_price() -> None:
    unpriced = endpoint(usd=None)
    assert not offer.on_offer(unpriced, ())
    assert not offer.on_offer(unpriced, ("!c/*",))
    assert offer.on_offer(unpriced, ("*",))


def test_key_never_widens_what_the_service_offers() -> None:
    assert not offer.for_key(endpoint(usd=None), (), ("*",))
    assert not offer.for_key(endpoint(), ("!a/*",), ("a/*",))


def test_each_refusal_says_what_to_do() -> None:
    anybody, limited = Principal(owner="o", role="user"), Principal(owner="o", role="user", models=("c/*",))
    with pytest.raises(UnknownModel, match="I2M_MODELS"):
        offer.require(endpoint(), ("c/*",), anybody)
    with pytest.raises(UnknownModel, match="FAL no longer lists a/b"):
        offer.require(endpoint(retired=1), ("*",), anybody)
    with pytest.raises(Forbidden, match="only c/\\*"):
        offer.require(endpoint(), (), limited)
    model = (Input(name="model_url", role="model", required=True),)
    with pytest.raises(InvalidParameter, match="needs a 3D model"):
        offer.require(endpoint(inputs=model), (), anybody)
    offer.require(endpoint(), (), anybody)
