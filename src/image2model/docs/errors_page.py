"""`docs/errors.md`, from the tree of errors. Who calls it: the list of pages."""

from image2model.api.reference.problem_meanings import MEANINGS, problems
from image2model.docs.markdown import page, table
from image2model.errors import IMAGE_FAILURES

_EXAMPLE = """```json
{"type": "urn:image2model:problem:not_ready", "title": "Not ready", "status": 409,
 "detail": "This image is generating. Its model is there once it has succeeded.",
 "code": "not_ready", "request_id": "01J9Z3K4M5N6P7Q8"}
```
"""


def render() -> str:
    """The page."""
    refusals = sorted(problems(), key=lambda one: (one.status, one.code))
    rows = ((f"`{one.code}`", str(one.status), MEANINGS[one.code]) for one in refusals)
    failures = ((f"`{code}`", meaning) for code, meaning in IMAGE_FAILURES.items())
    return page(
        "Errors",
        "Every refusal is an RFC 9457 document, `application/problem+json`. `code` is stable, and for "
        "programs; `detail` is for people. Where files are to blame, `errors` names each of them with "
        "`file`, `code` and `detail`, and the answer's own code is the first one's.\n",
        _EXAMPLE,
        "## Refusals\n",
        table(("Code", "Status", "Meaning"), rows),
        "## Failures of an image\n",
        'The `error` of an image: `{"code", "message", "retryable", "fal_type"}`. `fal_type` is FAL\'s own '
        "word, where it said one.\n",
        table(("Code", "Meaning"), failures),
    )
