"""Reading a multipart upload as it arrives. Who calls it: the routes of `/upload/batch` and `/quote`.

`read_batch` is the whole of it. Nothing here knows a store, a storage or a job: complete files are
handed to the caller's sink one by one, and no bytes of theirs are kept afterwards.
"""

from image2model.http.upload.budget import UploadBudget
from image2model.http.upload.reader import read_batch
from image2model.http.upload.received import Inspect, Picture, ReceivedBatch, ReceivedFile, Sink, UploadLimits

__all__ = [
    "Inspect",
    "Picture",
    "ReceivedBatch",
    "ReceivedFile",
    "Sink",
    "UploadBudget",
    "UploadLimits",
    "read_batch",
]
