"""The endpoints as they come with the release."""

from image2model.fal.endpoints import Catalogue, Endpoint

ENDPOINTS = Catalogue.built_in().endpoints


def endpoint_of(model: str) -> Endpoint:
    """Raises UnknownModel."""
    return Catalogue.built_in().find(model)
