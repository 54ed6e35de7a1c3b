"""A multipart upload, read while it arrives. `read_batch` is the entrance.

Nothing here knows a store, a storage or a job: complete files go to the caller's sink one by one, and none of
their bytes are kept afterwards. A refused upload must never leave memory reserved or a sink running.
"""

from image2model.http.upload.form import Inspect, Picture
from image2model.http.upload.limits import UploadBudget, UploadLimits
from image2model.http.upload.reader import ReceivedBatch, ReceivedFile, Sink, discard, read_batch

__all__ = [
    "Inspect",
    "Picture",
    "ReceivedBatch",
    "ReceivedFile",
    "Sink",
    "UploadBudget",
    "UploadLimits",
    "discard",
    "read_batch",
]
