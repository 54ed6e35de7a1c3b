"""What a person can do about an image that has no model, by its error's code.

Who calls it: `status`, `download`, the summary of `submit`, and the contact sheet. The codes are those of
the interface's page; an unknown one, of a newer service, gets no advice rather than a wrong one.
"""

from typing import Final

_RETRY: Final = "Run it again with `image2model retry JOB`; that is a new paid attempt."
_PICTURE: Final = "Open the picture in an image editor, save it again as PNG or JPEG, and submit that."
_SMALLER: Final = "Make the picture smaller and submit it again."

_ADVICE: Final = {
    "image_unreadable": _PICTURE,
    "image_truncated": "The file is incomplete: copy or export it again, then submit it.",
    "not_an_image": "Only PNG, JPEG and WebP are taken: convert it, then submit it.",
    "image_too_large": _SMALLER,
    "file_too_large": _SMALLER,
    "body_too_large": _SMALLER,
    "rejected_by_model": "The model does not take this picture or its parameters: change them, then submit.",
    "content_policy": "The model refuses what the picture shows: use another picture.",
    "generation_failed": _RETRY,
    "generation_timeout": _RETRY,
    "endpoint_unavailable": "FAL did not take this model for a long time, and nothing was paid: submit it "
    "with another model, or `image2model retry JOB` later.",
    "submission_unconfirmed": "Whether FAL took it is not known, so it was not sent twice. Look at FAL's "
    "dashboard for the charge; `image2model retry JOB` sends it again.",
    "result_expired": _RETRY,
    "result_invalid": _RETRY,
    "storage_failed": "The service could not store the model: its operator runs `image2model doctor`. "
    "Then `image2model retry JOB`.",
    "worker_crashed": "The service's operator looks at the workers' log. Then `image2model retry JOB`.",
    "cancelled": "It was cancelled: submit it again if it is wanted after all.",
    "expired": "The job's files are gone: submit the picture again.",
    "not_saved": "Look at the output folder's space and permissions, then run the same command again: "
    "nothing is paid for twice.",
}


def advice(code: str, job_id: str | None = None) -> str:
    """One or two sentences; empty where the code is unknown. `job_id` takes JOB's place."""
    return _ADVICE.get(code, "").replace("JOB", job_id or "JOB")


_REASONS: Final = {
    "limit": "Waiting: as many pictures as allowed are at FAL; the rest follow as they finish.",
    "account": "Waiting: FAL refuses the service's account (key or balance). Its operator can mend that; "
    "nothing is lost.",
    "fal": "Waiting: FAL is not answering. It goes on by itself once FAL is back.",
    "endpoint": "Waiting: FAL refuses this model, or fails at it. It is tried from time to time; other "
    "models go on.",
    "paused": "Waiting: the service's operator has paused the queue.",
}


def waiting_words(reason: str) -> str:
    """A reason of the service as a sentence; one that this client does not know by its name."""
    return _REASONS.get(reason, f"Waiting: {reason}.")
