"""FAL's failures that need a word of their own, and how a failure of FAL's becomes an image's.

Who calls it: the gateway raises these; the worker catches them and turns the final ones into the
`error` of the image's document.

::

    FalError
    ├── FalNotAccepted
    │   └── FalThrottled       429 to the submit, with the seconds to wait
    ├── FalUnreachable         FAL holds or may hold the answer, we could not fetch it: ask again
    │   └── FalUnreadable      it answered with what is no answer: ask again, not for long
    ├── FalAddressRefused      a file lies at an address that must not be called
    ├── FalUnfinished          the result was asked for too early: go on following
    └── FalCancelled           499: FAL stopped the request, as it was asked to
"""

from image2model.errors import (
    FalAmbiguous,
    FalError,
    FalNotAccepted,
    FalRejected,
    FalResultGone,
    FalTransient,
    ImageFailure,
)
from image2model.fal.words import speaks_of_policy


class FalThrottled(FalNotAccepted):
    """429 to the submit. `retry_after`: seconds FAL asks to wait, where it said so."""

    def __init__(self, message: str, *, status: int, fal_type: str | None, retry_after: float | None) -> None:
        super().__init__(message, status=status, fal_type=fal_type)
        self.retry_after = retry_after


class FalUnreachable(FalError):
    """The network or FAL's ingress failed: says nothing about the request. Ask again, buy nothing."""


class FalUnreadable(FalUnreachable):
    """In place of a result FAL gave a page, nothing, or a JSON that breaks off."""


class FalAddressRefused(FalError):
    """A file's address is none that the internet can reach, or not https: it is not called."""


class FalUnfinished(FalError):
    """The result was asked for before the request was COMPLETED."""


class FalCancelled(FalError):
    """The request was cancelled and FAL obeyed."""


UNCONFIRMED = "submission_unconfirmed"
_TIMEOUTS = frozenset({"generation_timeout", "request_timeout", "startup_timeout"})


def to_image_failure(error: FalError) -> ImageFailure:
    """The image's failure when `error` is final: its code, FAL's own words, whether a retry may help."""
    code, retryable = _verdict(error)
    return ImageFailure(code, error.message, retryable=retryable, fal_type=error.fal_type)


def _verdict(error: FalError) -> tuple[str, bool]:
    if isinstance(error, FalRejected):
        return _rejection(error)
    if isinstance(error, FalAmbiguous):
        return UNCONFIRMED, True
    if isinstance(error, FalCancelled):
        return "cancelled", True
    if isinstance(error, FalResultGone):
        return "result_expired", True
    if isinstance(error, FalTransient) and error.fal_type in _TIMEOUTS:
        return "generation_timeout", True
    return "generation_failed", True


def _rejection(error: FalRejected) -> tuple[str, bool]:
    if error.status is not None and error.status >= 500:
        return "generation_failed", False
    if speaks_of_policy(error.message, error.fal_type):
        return "content_policy", False
    return "rejected_by_model", False
