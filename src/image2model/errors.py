"""Every error that this service raises on purpose, in one tree. It imports nothing of the package.

::

    Image2ModelError
    ├── ConfigurationError            the settings are wrong; it lists every problem
    ├── StaleFence                    a step was refused: the caller no longer holds the image's lease
    ├── NoBudgetLeft                  the budget does not cover another attempt
    ├── Problem                       an answer to a client: HTTP status and code on the class
    │   ├── Unauthenticated, Forbidden, NotFound, MethodNotAllowed
    │   ├── BudgetExceeded, PriceUnknown, RateLimited, QueueFull
    │   ├── UploadTooSlow, BodyTooLarge, UnsupportedMediaType
    │   ├── Expired, NotReady, IdempotencyConflict, IdempotencyInProgress, AlreadyFinished
    │   ├── InvalidMultipart, NoFiles, TooManyFiles, UnknownModel, InvalidParameter
    │   ├── FileProblem               one file is the cause
    │   │   └── FileTooLarge, NotAnImage, ImageTruncated, ImageTooLarge, ImageUnreadable
    │   └── InternalError, StoreUnavailable, DiskFull
    ├── ImageFailure                  why one image failed: the ``error`` of its document
    └── FalError                      FAL's failures, by what may be done next
        ├── FalNotAccepted            certainly not accepted: the same submission may be sent again
        ├── FalAmbiguous              may have been accepted: never sent again automatically
        ├── FalAccountFault           401, 403, locked: the account is the cause, no image is
        ├── FalEndpointFault          any other 403: one endpoint refuses, no image is the cause
        ├── FalRejected               422 and the like: this image is the cause; final
        ├── FalTransient              a definite failure of FAL: another attempt may work
        └── FalResultGone             the result has expired or never existed
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Final

import msgspec


class Image2ModelError(Exception):
    """Root of the tree."""


class ConfigurationError(Image2ModelError):
    """The settings are wrong. `problems` has one sentence for each problem."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class StaleFence(Image2ModelError):
    """The caller's fence is out of date: another worker holds the image now."""


class NoBudgetLeft(Image2ModelError):
    """The owner's budget does not cover another attempt, so none was begun."""


class FileFault(msgspec.Struct, frozen=True):
    """One entry of a problem's `errors`: the file, the reason, and what to do."""

    file: str
    code: str
    detail: str


class Problem(Image2ModelError):
    """An RFC 9457 problem. `detail` says what to do; `headers` are added to the answer."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Internal error"

    def __init__(
        self,
        detail: str,
        *,
        errors: Sequence[FileFault] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    @classmethod
    def after(cls, detail: str, retry_after: int) -> "Problem":
        """The problem with a `Retry-After` header, in whole seconds."""
        return cls(detail, headers={"Retry-After": str(retry_after)})


class Unauthenticated(Problem):
    status, code, title = 401, "unauthenticated", "Not authenticated"


class Forbidden(Problem):
    status, code, title = 403, "forbidden", "Forbidden"


class NotFound(Problem):
    status, code, title = 404, "not_found", "Not found"


class MethodNotAllowed(Problem):
    status, code, title = 405, "method_not_allowed", "Method not allowed"


class BudgetExceeded(Problem):
    status, code, title = 402, "budget_exceeded", "Budget exceeded"


class PriceUnknown(Problem):
    status, code, title = 402, "price_unknown", "Price unknown"


class RateLimited(Problem):
    status, code, title = 429, "rate_limited", "Too many requests"


class QueueFull(Problem):
    status, code, title = 429, "queue_full", "Queue full"


class UploadTooSlow(Problem):
    status, code, title = 408, "upload_too_slow", "Upload too slow"


class BodyTooLarge(Problem):
    status, code, title = 413, "body_too_large", "Request body too large"


class UnsupportedMediaType(Problem):
    status, code, title = 415, "unsupported_media_type", "Unsupported media type"


class Expired(Problem):
    status, code, title = 410, "expired", "Expired"


class NotReady(Problem):
    status, code, title = 409, "not_ready", "Not ready"


class IdempotencyConflict(Problem):
    status, code, title = 409, "idempotency_conflict", "Idempotency key used with another request"


class IdempotencyInProgress(Problem):
    status, code, title = 409, "idempotency_in_progress", "A request with this idempotency key is in progress"


class AlreadyFinished(Problem):
    status, code, title = 409, "already_finished", "Already finished"


class InvalidMultipart(Problem):
    status, code, title = 422, "invalid_multipart", "Invalid multipart body"


class NoFiles(Problem):
    status, code, title = 422, "no_files", "No files"


class TooManyFiles(Problem):
    status, code, title = 422, "too_many_files", "Too many files"


class UnknownModel(Problem):
    status, code, title = 422, "unknown_model", "Unknown model"


class InvalidParameter(Problem):
    status, code, title = 422, "invalid_parameter", "Invalid parameter"


class FileProblem(Problem):
    """One file is the cause; `fault(name)` is its entry in a problem's `errors`."""

    status, code, title = 422, "not_an_image", "Bad file"

    def fault(self, file: str) -> FileFault:
        """This problem as one entry of a batch's `errors`."""
        return FileFault(file=file, code=self.code, detail=self.detail)


class FileTooLarge(FileProblem):
    status, code, title = 413, "file_too_large", "File too large"


class NotAnImage(FileProblem):
    status, code, title = 422, "not_an_image", "Not an image"


class ImageTruncated(FileProblem):
    status, code, title = 422, "image_truncated", "Image truncated"


class ImageTooLarge(FileProblem):
    status, code, title = 422, "image_too_large", "Image too large"


class ImageUnreadable(FileProblem):
    status, code, title = 422, "image_unreadable", "Image unreadable"


class InternalError(Problem):
    """The default of `Problem`. Its detail never shows anything of the inside."""


class StoreUnavailable(Problem):
    status, code, title = 503, "store_unavailable", "Store unavailable"


class DiskFull(Problem):
    status, code, title = 507, "disk_full", "Disk full"


IMAGE_FAILURES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "image_unreadable": "The picture cannot be decoded: save it again as PNG or JPEG, and upload the new "
        "file. Or it came as an address and could not be fetched; `message` says why, and `retryable` "
        "whether a retry within 24 hours may help.",
        "rejected_by_model": "FAL refuses this picture or these parameters; `message` is FAL's. Change them, "
        "because the same request fails again.",
        "content_policy": "FAL's content policy does not allow this picture. Use another picture.",
        "generation_failed": "FAL could not generate the model, or did not accept the request within "
        "`I2M_START_TIMEOUT`. Retry the image.",
        "generation_timeout": "The generation took longer than `I2M_TASK_TIMEOUT`, or than FAL allows. Retry "
        "the image, or raise the limit.",
        "submission_unconfirmed": "The reply to the paid submission was lost, and FAL does not list the "
        "request. A late result still makes the image a success. Only a retry submits it again, and it may "
        "be paid twice.",
        "result_expired": "FAL no longer has the result. Retry the image to generate a new one, which is "
        "paid for.",
        "result_invalid": "FAL's result contains no model; `message` is FAL's, if it sent one. Retry the "
        "image, or use another picture.",
        "storage_failed": "The result could not be stored, or the uploaded picture is missing. Retry the "
        "image, or upload the picture again.",
        "worker_crashed": "Decoding this picture alone crashed its process five times. Save it again as PNG "
        "or JPEG, and upload the new file.",
        "endpoint_unavailable": "FAL's endpoint for this model refused or failed for "
        "`I2M_ENDPOINT_PATIENCE`. Nothing was paid. Retry later, or use another model.",
        "not_confirmed": "Nobody confirmed the prepared picture within 24 hours. A retry prepares nothing "
        "anew, and waits for the confirmation again.",
        "budget_exceeded": "The budget does not cover what the picture still needs after its preparation, "
        "which is kept. Retry it when the budget allows it.",
        "unexpected_error": "This service has a fault. Its log has the traceback under the image's id. Retry "
        "the image.",
        "cancelled": "FAL cancelled the request. Retry the image if you still want it.",
    }
)
"""Every code of an image's `error`, and its meaning for users."""


class ImageFailure(Image2ModelError):
    """Why one image failed: `{"code","message","retryable","fal_type"?}` in its document."""

    def __init__(self, code: str, message: str, *, retryable: bool, fal_type: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable
        self.fal_type = fal_type


class FalError(Image2ModelError):
    """A failure of FAL. `status` is the HTTP status (None: no answer), `fal_type` is FAL's error type.

    `billable_units` are the units that FAL bills for the request, None if FAL does not report them.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        fal_type: str | None = None,
        billable_units: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.fal_type = fal_type
        self.billable_units = billable_units


class FalNotAccepted(FalError):
    """FAL certainly did not accept the submission: a connect error or a 429. It may be sent again."""


class FalAmbiguous(FalError):
    """The POST may have been accepted: no reply, a 5xx, or an unreadable reply to it."""


class FalAccountFault(FalError):
    """401, or 403 such as `User is locked`: no submission can work until the account is in order."""


class FalEndpointFault(FalError):
    """403 that does not mention the account: this endpoint refuses, others may not. `endpoint` is its id."""

    def __init__(self, message: str, *, endpoint: str, status: int, fal_type: str | None = None) -> None:
        super().__init__(message, status=status, fal_type=fal_type)
        self.endpoint = endpoint


class FalRejected(FalError):
    """A 4xx because of the input (422) or the request; the same input will fail again."""


class FalTransient(FalError):
    """A definite failure of FAL (a 5xx as the result), or a failure before the POST."""


class FalResultGone(FalError):
    """FAL no longer has the result, or never had the request (404)."""
