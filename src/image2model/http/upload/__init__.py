"""A multipart upload, read while it arrives. `read_batch` is the entrance.

Nothing here knows a store, a storage or a job: complete files go to the caller's sink one by one, and none of
their bytes are kept afterwards. A refused upload must never leave memory reserved or a sink running.
"""

from image2model.http.upload.form import Inspect, Picture, Place
from image2model.http.upload.limits import MAX_VIEWS, UploadBudget, UploadLimits
from image2model.http.upload.reader import read_batch
from image2model.http.upload.received import (
    AddressedFile,
    BadFile,
    ReceivedBatch,
    ReceivedFile,
    Sink,
    discard,
)

__all__ = [
    "MAX_VIEWS",
    "AddressedFile",
    "BadFile",
    "Inspect",
    "Picture",
    "Place",
    "ReceivedBatch",
    "ReceivedFile",
    "Sink",
    "UploadBudget",
    "UploadLimits",
    "discard",
    "read_batch",
]
