"""What is on offer: the table, what FAL says of it, and what is said while FAL says nothing."""

from collections.abc import Callable
from typing import Any

from jsonschema import Draft202012Validator

from tests.support.emulator_process import KEY, emulator_process
from tests.support.served_api import Service

DEFAULT = "tripo3d/tripo/v2.5/image-to-3d"


def models(answer_body: Any) -> dict[str, Any]:
    return {model["id"]: model for model in answer_body["models"]}


def test_models_tell_parameters_and_prices_without_fal(service: Service) -> None:
    answer = service.get("models")
    assert (answer.status, answer.body["pricing"], answer.body["default"]) == (200, "table", DEFAULT)
    default = models(answer.body)[DEFAULT]
    assert (default["default"], default["price_usd"], default["fal"]) == (True, 0.3, None)
    schema = Draft202012Validator(default["params"])
    assert schema.is_valid({"texture": "HD", "face_limit": 1000})
    assert not schema.is_valid({"texture": "gold"})
    for model in models(answer.body).values():
        Draft202012Validator.check_schema(model["params"])


def test_fal_is_asked_once_for_prices_and_what_it_says(make_service: Callable[..., Service]) -> None:
    with emulator_process() as emulator:
        service = make_service(fal_key=KEY, fal_base_url=emulator.url)
        answer = service.get("models")
        assert answer.body["pricing"] == "fal"
        default = models(answer.body)[DEFAULT]["fal"]
        assert default["status"] == "active"
        assert default["price"]["currency"] == "USD"
        assert default["price"]["unit_price"] > 0
    assert service.get("models").body["pricing"] == "fal"  # FAL is gone; its answer is kept


def test_models_are_listed_while_fal_is_down(make_service: Callable[..., Service]) -> None:
    with emulator_process() as emulator:
        url = emulator.url
    answer = make_service(fal_key=KEY, fal_base_url=url).get("models")
    assert (answer.status, answer.body["pricing"]) == (200, "table")
    assert DEFAULT in models(answer.body)
