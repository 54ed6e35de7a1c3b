"""What a person can do about an image that has no model, by its error code, and why a job waits.

The codes are those of the HTTP interface. An unknown code, from a newer service, gets no advice rather than
wrong advice.
"""

from typing import Final

_RETRY: Final = "Run it again with `image2model retry JOB`; that is a new paid attempt."
_PICTURE: Final = "Open the picture in an image editor, save it again as PNG or JPEG, and submit that."
_SMALLER: Final = "Make the picture smaller and submit it again."

_ADVICE: Final = {
    "image_unreadable": _PICTURE,
    "image_truncated": "The file is incomplete: copy or export it again, then submit it.",
    "not_an_image": "Only PNG, JPEG, WebP, HEIC, AVIF, GIF, TIFF and BMP are accepted: convert it, "
    "then submit it.",
    "image_too_large": _SMALLER,
    "file_too_large": _SMALLER,
    "body_too_large": _SMALLER,
    "rejected_by_model": "The model rejects this picture or its parameters: change them, then submit again.",
    "content_policy": "The model refuses what the picture shows: use another picture.",
    "generation_failed": _RETRY,
    "generation_timeout": _RETRY,
    "endpoint_unavailable": "FAL refused this model for a long time, and nothing was paid: submit it "
    "with another model, or `image2model retry JOB` later.",
    "submission_unconfirmed": "FAL may have accepted it, so it was not sent a second time. Check FAL's "
    "dashboard for the charge; `image2model retry JOB` sends it again.",
    "result_expired": _RETRY,
    "result_invalid": _RETRY,
    "storage_failed": "The service could not store the model: ask its operator to run `image2model doctor`. "
    "Then run `image2model retry JOB`.",
    "worker_crashed": "Ask the service's operator to look at the workers' log. "
    "Then run `image2model retry JOB`.",
    "cancelled": "It was cancelled: submit it again if you still need it.",
    "price_unknown": "Give `--max-cost USD`, the most that these pictures may cost together.",
    "budget_exceeded": "Send fewer pictures, raise `--max-cost`, or ask the operator for a larger budget.",
    "unknown_model": "`image2model models` lists the models on offer.",
    "expired": "The job's files are gone: submit the picture again.",
    "not_confirmed": "Nobody accepted the prepared picture in time. `image2model retry JOB` asks again; the "
    "prepared picture is kept.",
    "not_saved": "Check the output folder's disk space and permissions, then run the same command again: "
    "you do not pay twice.",
}


def advice(code: str, job_id: str | None = None) -> str:
    """One or two sentences, with `job_id` in place of JOB; empty for an unknown code."""
    return _ADVICE.get(code, "").replace("JOB", job_id or "JOB")


_REASONS: Final = {
    "limit": "Waiting: as many pictures as allowed are at FAL; the rest follow as they finish.",
    "turn": "Waiting: FAL generates as many at once as the service's account may. The turn of this job "
    "comes by itself.",
    "account": "Waiting: FAL refuses the service's account (key or balance). Its operator can fix that; "
    "nothing is lost.",
    "fal": "Waiting: FAL does not answer. The job continues by itself once FAL is back.",
    "endpoint": "Waiting: FAL refuses this model, or fails with it. It is tried again from time to time; "
    "other models continue.",
    "confirmation": "Waiting: prepared pictures want to be looked at. `image2model status JOB` shows which; "
    "`image2model confirm JOB IMAGE` accepts one.",
    "fetch": "Waiting: the service fetches the pictures from their addresses.",
    "paused": "Waiting: the service's operator has paused the queue.",
}


def waiting_message(reason: str) -> str:
    """The reason of a wait as a sentence; an unknown reason is shown by its name."""
    return _REASONS.get(reason, f"Waiting: {reason}.")
