"""`read_batch`: one multipart request from its headers to a `ReceivedBatch`.

Who calls it: the routes that take pictures. It raises a `Problem` for a request that is refused as a
whole; the rest of a refused body is dropped by `RefusalDrain`, after all memory is given back.
"""

from collections.abc import Mapping

from starlette.types import Receive

from image2model.api.small_body import declared_length
from image2model.api.upload.budget import UploadBudget
from image2model.api.upload.form import FormReader
from image2model.api.upload.limits import UploadLimits
from image2model.api.upload.pace import PacedBody, body_too_large
from image2model.api.upload.parser import boundary_of
from image2model.api.upload.pipeline import FilePipeline
from image2model.api.upload.received import Inspect, ReceivedBatch, ReceivedFile, Sink


async def forget(_file: ReceivedFile, _data: bytes) -> None:
    """A sink that keeps nothing: for callers who only want to know what an upload holds."""


async def read_batch(
    receive: Receive,
    headers: Mapping[str, str],
    *,
    limits: UploadLimits,
    budget: UploadBudget,
    inspect: Inspect,
    sink: Sink = forget,
) -> ReceivedBatch:
    """Read a whole upload, handing each good file to `sink` as it completes.

    `headers` are the request's, looked up by lower-case name. Files that are bad one by one do not
    raise: they are in `bad`, because `on_invalid` may come after them; see `ReceivedBatch.refuse_bad`.
    When this raises, no sink is under way any more, and the caller deletes what its sink had stored.

    Raises `UnsupportedMediaType`, `BodyTooLarge`, `InvalidMultipart`, `InvalidParameter`, `NoFiles`,
    `TooManyFiles`, `UploadTooSlow`; `starlette.requests.ClientDisconnect` when the sender is gone; and
    whatever `sink` raises.
    """
    boundary = boundary_of(headers.get("content-type", ""), limits.max_boundary_bytes)
    if declared_length(headers, 0) > limits.max_body_bytes:
        raise body_too_large(limits)
    with budget.open() as reservation:
        async with FilePipeline(inspect, sink, reservation, limits.files_in_flight) as pipeline:
            form = FormReader(boundary, limits, reservation, pipeline)
            await form.read(PacedBody(receive, limits, crowded=lambda: budget.waiting > 0))
    return ReceivedBatch(files=pipeline.good, bad=pipeline.bad, fields=form.fields)
