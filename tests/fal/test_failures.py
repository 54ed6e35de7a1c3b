"""How FAL's failures become an image's, and what FAL's tags may hold."""

import pytest

from image2model.errors import FalAmbiguous, FalError, FalRejected, FalResultGone, FalTransient
from image2model.fal.errors import FalCancelled, to_image_failure
from image2model.fal.submit import format_tags


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        (FalRejected("too small", status=422, fal_type="image_too_small"), "rejected_by_model", False),
        (FalRejected("no", status=422, fal_type="content_policy_violation"), "content_policy", False),
        (FalRejected("safety violations=[1]", status=422), "content_policy", False),
        (FalRejected("The image was flagged as NSFW", status=422), "content_policy", False),
        (FalRejected("content policy", status=400, fal_type="x"), "content_policy", False),
        (FalRejected("enable_safety_checker must be a boolean", status=422), "rejected_by_model", False),
        (FalRejected("safety_tolerance: not an int", status=422), "rejected_by_model", False),
        (FalRejected("no", status=500), "generation_failed", False),
        (FalTransient("oops", status=500), "generation_failed", True),
        (FalTransient("slow", status=504, fal_type="generation_timeout"), "generation_timeout", True),
        (FalAmbiguous("lost"), "submission_unconfirmed", True),
        (FalResultGone("gone", status=404), "result_expired", True),
        (FalCancelled("stopped", status=499), "cancelled", True),
    ],
)
def test_error_becomes_the_images_failure_in_fals_words(error: FalError, code: str, retryable: bool) -> None:
    failure = to_image_failure(error)
    assert (failure.code, failure.message, failure.retryable) == (code, error.message, retryable)
    assert failure.fal_type == error.fal_type


def test_tags_are_joined() -> None:
    assert format_tags({"attempt": "a1", "i.m-g_1": "x"}) == "attempt=a1,i.m-g_1=x"


@pytest.mark.parametrize(
    "tags",
    [
        {"Upper": "x"},
        {"fal.x": "x"},
        {"": "x"},
        {"k" * 65: "x"},
        {"k": "v" * 257},
        {"k": "a,b=c"},
        {"k": "a\r\nX-Evil: 1"},
        {"k": "é"},
        {f"k{number}": "x" for number in range(11)},
        {f"k{number}": "v" * 250 for number in range(5)},
    ],
)
def test_tags_beyond_fals_limits_are_refused(tags: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="tag"):
        format_tags(tags)
