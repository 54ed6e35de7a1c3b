"""What the handlers of jobs use of their process."""

from dataclasses import dataclass

from image2model.catalogue.state import CatalogueState
from image2model.events.relay import EventRelay
from image2model.fal.hosts import FalHosts
from image2model.http.upload import UploadBudget, UploadLimits
from image2model.http.write_probe import WriteProbe
from image2model.jobs.accept import LostReplies
from image2model.jobs.advisor import Advisor
from image2model.jobs.thumbnails import Thumbnails
from image2model.storage.objects import ObjectStorage
from image2model.store.secret import SigningSecret


@dataclass(frozen=True, kw_only=True)
class JobsState(CatalogueState):
    """Shared by all requests of one process."""

    storage: ObjectStorage
    signing: SigningSecret
    hosts: FalHosts
    thumbnails: Thumbnails
    advisor: Advisor
    upload_budget: UploadBudget
    upload_limits: UploadLimits
    lost_replies: LostReplies
    write_probe: WriteProbe
    relay: EventRelay
