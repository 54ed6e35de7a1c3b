"""What the handlers of models use of their process."""

from dataclasses import dataclass

from image2model.access.state import AccessState
from image2model.catalogue.documents import ModelDocuments
from image2model.catalogue.live import LiveCatalogue


@dataclass(frozen=True, kw_only=True)
class CatalogueState(AccessState):
    """Shared by all requests of one process."""

    catalogue: LiveCatalogue
    model_documents: ModelDocuments
