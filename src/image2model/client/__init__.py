"""The Python client: typed, over HTTP alone, in an async and a sync form.

It may run on another machine against another version of the service: unknown fields of a document are
ignored, and statuses are plain text. It imports nothing of the service except the shared types of `domain`.
"""

from image2model.client.aio import AsyncClient
from image2model.client.documents import (
    Comparison,
    ComparisonQuote,
    File,
    Image,
    ImageView,
    Job,
    JobPage,
    Mesh,
    Preparation,
    Quote,
    QuotedImage,
    Result,
)
from image2model.client.errors import ApiError, BadDownload, ClientError, Unreachable
from image2model.client.events import Complete, Event, ImageChanged, Snapshot
from image2model.client.model_documents import Model, ModelList
from image2model.client.multipart import Address, Picture
from image2model.client.objects import Object, View
from image2model.client.sync import Client

__all__ = [
    "Address",
    "ApiError",
    "AsyncClient",
    "BadDownload",
    "Client",
    "ClientError",
    "Comparison",
    "ComparisonQuote",
    "Complete",
    "Event",
    "File",
    "Image",
    "ImageChanged",
    "ImageView",
    "Job",
    "JobPage",
    "Mesh",
    "Model",
    "ModelList",
    "Object",
    "Picture",
    "Preparation",
    "Quote",
    "QuotedImage",
    "Result",
    "Snapshot",
    "Unreachable",
    "View",
]
