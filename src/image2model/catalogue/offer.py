"""Which endpoints a caller may use: by `I2M_MODELS`, by its key, and by what FAL lists.

Pure. A pattern is an id with `*`, `?` and `[…]`; `!` in front excludes. Patterns allow an id if any of those
without `!` matches it, and none of those with `!` does. Where no pattern is without `!`, a default decides.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from image2model.errors import Forbidden, InvalidParameter, UnknownModel
from image2model.fal.endpoints import DEFAULT_REMOVER, Endpoint, takes_model, takes_pictures
from image2model.fal.endpoints.overlay import REMOVERS

if TYPE_CHECKING:  # it loads the HTTP server's types, which a worker does not need
    from image2model.access.principal import Principal

Patterns = Sequence[str]


def matches(patterns: Patterns, model: str, *, default: bool) -> bool:
    """Whether the patterns allow this id; `default` where none of them allows anything."""
    if any(fnmatchcase(model, one[1:]) for one in patterns if one.startswith("!")):
        return False
    allowing = [one for one in patterns if not one.startswith("!")]
    return any(fnmatchcase(model, one) for one in allowing) if allowing else default


def on_offer(endpoint: Endpoint, service: Patterns) -> bool:
    """Whether the service offers it: FAL lists it, and `I2M_MODELS` allows it."""
    return endpoint.schema.retired_at is None and matches(service, endpoint.id, default=has_price(endpoint))


def for_key(endpoint: Endpoint, service: Patterns, key: Patterns) -> bool:
    """Whether a key with these patterns may use it."""
    return on_offer(endpoint, service) and matches(key, endpoint.id, default=True)


def has_price(endpoint: Endpoint) -> bool:
    """Whether it is known before a run what to set aside for it."""
    return endpoint.price({}) is not None or endpoint.reservation({}) > 0


def require(endpoint: Endpoint, service: Patterns, principal: "Principal") -> None:
    """Raises UnknownModel where the service does not offer it, Forbidden where the key may not use it,
    InvalidParameter where pictures alone cannot run it, or no model comes out.
    """
    _require_offered(endpoint, service, principal)
    if endpoint.removes_background:
        raise InvalidParameter(
            f"{endpoint.id} makes no model: it removes the background of a picture. Name it in "
            "remove_background, and a model of GET /api/v1/models as the model."
        )
    if not takes_pictures(endpoint):
        raise InvalidParameter(f"Pictures alone cannot run {endpoint.id}: it {endpoint.needs}.")


def require_second_step(endpoint: Endpoint, service: Patterns, principal: "Principal") -> None:
    """Raises as `require`, and InvalidParameter where the endpoint takes no model."""
    _require_offered(endpoint, service, principal)
    if not takes_model(endpoint):
        raise InvalidParameter(
            f"{endpoint.id} takes no 3D model. `takes_model` in GET /api/v1/models shows which ones do."
        )


def require_remover(endpoint: Endpoint, service: Patterns, principal: "Principal") -> None:
    """Raises as `require`, and InvalidParameter where the endpoint removes no background."""
    if not endpoint.removes_background:
        raise InvalidParameter(
            f"{endpoint.id} removes no background. Choose one of {', '.join(REMOVERS)} for "
            f"remove_background, or `true`, which is {DEFAULT_REMOVER}."
        )
    _require_offered(endpoint, service, principal)


def _require_offered(endpoint: Endpoint, service: Patterns, principal: "Principal") -> None:
    model = endpoint.id
    if endpoint.schema.retired_at is not None:
        raise UnknownModel(f"FAL no longer lists {model}. Choose another model of GET /api/v1/models.")
    if not on_offer(endpoint, service):
        raise UnknownModel(
            f"This service does not offer {model}. Choose another model of GET /api/v1/models; its operator "
            "decides with I2M_MODELS."
        )
    if not matches(principal.models, model, default=True):
        raise Forbidden(
            f"This key may not use {model}, only {', '.join(principal.models)}. Choose another model of GET "
            "/api/v1/models, or ask the operator for another key."
        )
