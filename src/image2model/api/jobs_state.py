"""What the handlers of jobs use of their process."""

from dataclasses import dataclass

from image2model.api.access_state import AccessState
from image2model.api.document_cache import DocumentCache
from image2model.api.fal_catalogue import FalCatalogue
from image2model.api.upload import UploadBudget, UploadLimits
from image2model.api.write_probe import WriteProbe
from image2model.fal.hosts import FalHosts
from image2model.service.thumbnails import Thumbnails
from image2model.service.unsettled import UnsettledBatches
from image2model.storage.objects import ObjectStorage
from image2model.store.secret import SigningSecret


@dataclass(frozen=True, kw_only=True)
class JobsState(AccessState):
    """Shared by all requests of one process."""

    storage: ObjectStorage
    signing: SigningSecret
    hosts: FalHosts
    fal_catalogue: FalCatalogue
    thumbnails: Thumbnails
    upload_budget: UploadBudget
    upload_limits: UploadLimits
    unsettled: UnsettledBatches
    documents: DocumentCache
    write_probe: WriteProbe
