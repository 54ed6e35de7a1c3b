"""What each code of a refusal means and what to do then. Who calls it: the reference and `docs/errors.md`.

The tree of `errors` is the list of codes; a test holds this table to it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from image2model.errors import FileProblem, Problem

MEANINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "unauthenticated": "No key, or one that is not known or no longer valid. Send "
        "`Authorization: Bearer <key>`.",
        "forbidden": "The key's role does not suffice, or another web site made the request.",
        "not_found": "There is no such thing, or it is another key's.",
        "method_not_allowed": "The address does not take this method; `Allow` names those it takes.",
        "budget_exceeded": "The key's budget does not cover the batch. Send less, or ask for a larger one.",
        "rate_limited": "Too many requests. Wait as long as `Retry-After` says.",
        "queue_full": "The key, or the address, has too many unfinished images. Wait until some have ended.",
        "upload_too_slow": "The upload arrived too slowly and was cut off. Send it again over a faster line.",
        "body_too_large": "The whole body is larger than a batch can be. Send smaller batches.",
        "unsupported_media_type": "The body is not `multipart/form-data`.",
        "expired": "It was here, and its life is over. Send the pictures again, or take a new link.",
        "not_ready": "The file does not exist yet, or never will; the detail says which.",
        "idempotency_conflict": "The `Idempotency-Key` was used for a different request. Take a new one.",
        "idempotency_in_progress": "A request with this `Idempotency-Key` is under way. Ask again as "
        "`Retry-After` says.",
        "already_finished": "Everything has ended already: there is nothing to cancel or to run again.",
        "invalid_multipart": "The multipart body is broken: no boundary, no closing boundary, headers too "
        "large, or too many parts.",
        "no_files": "The batch has no part named `files`.",
        "too_many_files": "The batch has more files than `I2M_MAX_FILES`.",
        "unknown_model": "The model is not on offer; `GET /api/v1/models` lists those that are.",
        "invalid_parameter": "A field, parameter or header has a value that is not accepted; the detail says "
        "what is.",
        "file_too_large": "A file is larger than `I2M_MAX_FILE_BYTES`.",
        "not_an_image": "A file is empty, or by its content no PNG, JPEG or WebP.",
        "image_truncated": "A picture ends before its end. Save or copy it again.",
        "image_too_large": "A picture has more pixels than `I2M_MAX_PIXELS`. Make it smaller.",
        "internal_error": "A fault of the service's own. Report it with its `request_id`.",
        "store_unavailable": "The service cannot reach its store, or the store takes no writes. Try again as "
        "`Retry-After` says.",
        "disk_full": "The storage is full. Nothing was kept; try again once the operator has made room.",
    }
)


def problems() -> tuple[type[Problem], ...]:
    """Every class of refusals that a client can meet, in the order of the tree."""
    return tuple(_leaves(Problem))


def _leaves(parent: type[Problem]) -> list[type[Problem]]:
    children = parent.__subclasses__()
    if not children:
        return [parent]
    return [leaf for child in children for leaf in _leaves(child)]


def blames_files(problem: type[Problem]) -> bool:
    """Whether the refusal has `errors`, one for each bad file."""
    return issubclass(problem, FileProblem)
