"""The Python client: typed, over HTTP alone, in an async and a sync form.

Who calls it: the command line, and anybody's program. It must never import the service's own inside
beyond the shared nouns of `domain`: it may run on another machine against another version, so unknown
fields of a document are ignored and statuses are plain text.
"""

from image2model.client.aio import AsyncClient
from image2model.client.documents import (
    File,
    Image,
    Job,
    JobPage,
    Mesh,
    Model,
    ModelList,
    Quote,
    QuotedImage,
    Result,
)
from image2model.client.errors import ApiError, BadDownload, ClientError, Unreachable
from image2model.client.events import Complete, Event, ImageChanged, Snapshot
from image2model.client.multipart import Picture
from image2model.client.sync import Client

__all__ = [
    "ApiError",
    "AsyncClient",
    "BadDownload",
    "Client",
    "ClientError",
    "Complete",
    "Event",
    "File",
    "Image",
    "ImageChanged",
    "Job",
    "JobPage",
    "Mesh",
    "Model",
    "ModelList",
    "Picture",
    "Quote",
    "QuotedImage",
    "Result",
    "Snapshot",
    "Unreachable",
]
