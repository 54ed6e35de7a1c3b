"""The faults of FAL, its partners and the network between: every kind, where it acts, what value it takes.

Read by the rules (`fault_rules.py`), by the parts of the emulator at which a fault acts, and by `--help`.
A request meets at most one fault of each group. Those of the submit and of its generation are drawn when the
submit arrives, so that "the next N" counts submits in the order in which they came; the others when their
own call arrives.
"""

import math
from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import msgspec

Value = str | float | None
"""What a rule adds to its kind: a word, a number of seconds or of units, or nothing."""


class Fault(StrEnum):
    """Every kind, by its public name."""

    DROP_AFTER_ACCEPT = "drop_after_accept"
    HANG = "hang"
    MALFORMED = "malformed"
    NGINX_502 = "nginx_502"
    NGINX_503 = "nginx_503"
    TOO_MANY = "429"
    UNAUTHORIZED = "401"
    LOCKED = "locked"
    ENDPOINT_403 = "endpoint_403"
    ENDPOINT_DOWN = "endpoint_down"
    RUNNER_503 = "runner_503"
    SERVER_ERROR = "500"
    INVALID = "422"
    SAFETY = "422_safety"
    START_TIMEOUT = "504"
    STATUS_FAILED = "status_failed"
    STATUS_CANCELLED = "status_cancelled"
    RESULT_ERROR = "result_error"
    REQUEUE = "requeue"
    STATUS_404 = "status_404"
    RESULT_404 = "result_404"
    RESULT_EXPIRED = "result_expired"
    RESULT_HTML = "result_html"
    RESULT_LIST = "result_list"
    NULL_MESH = "null_mesh"
    MODEL_TRUNCATED = "model_truncated"
    MODEL_MISSING = "model_missing"
    POINTS_ONLY = "points_only"
    NO_BOUNDS = "no_bounds"
    BYTES_BEHIND = "bytes_behind"
    UNKNOWN_FORMAT = "unknown_format"
    PREVIEW_MISSING = "preview_missing"
    PREVIEW_ELSEWHERE = "preview_elsewhere"
    PREVIEW_LATE = "preview_late"
    FILE_SLOW = "file_slow"
    FILE_STUCK = "file_stuck"
    FILE_EMPTY = "file_empty"
    FILE_HTML = "file_html"
    FILE_REDIRECT = "file_redirect"
    BILLABLE_UNITS = "billable_units"
    CANCEL_IGNORED = "cancel_ignored"
    LOOKUP_LAG = "lookup_lag"
    LOOKUP_BLIND = "lookup_blind"
    SIGN_FAILS = "sign_fails"
    SIGN_EXPIRED = "sign_expired"
    DELETE_FAILS = "delete_fails"
    DELETE_500 = "delete_500"
    ADMIN_REFUSED = "admin_refused"
    UPLOAD_TOKEN_500 = "upload_token_500"  # noqa: S105 - a name, no secret


class Group(StrEnum):
    """Where a fault acts. A request meets at most one of each."""

    SUBMIT = "the reply to the submit"
    END = "how the generation ends"
    COURSE = "the way there"
    STATUS = "finding the status"
    RESULT = "the reply of the result"
    MESH = "the output's fields"
    MODEL = "the model file"
    PREVIEW = "the preview file"
    TRANSFER = "the transfer of files"
    BILL = "what is billed"
    CANCEL = "the cancel"
    LAG = "the lookup's delay"
    BLIND = "the lookup's list"
    UPLOAD = "the upload"
    SIGN = "the signing of a file's address"
    DELETION = "the deletion of payloads"


OF_GENERATION: Final = (
    *(Group.END, Group.COURSE, Group.STATUS, Group.RESULT, Group.MESH),
    *(Group.MODEL, Group.PREVIEW, Group.TRANSFER, Group.BILL),
)
"""Drawn for every submit that is accepted."""


class ValueKind(msgspec.Struct, frozen=True):
    """What value a kind takes. `read` raises ValueError that says what is expected; `default`: where none is
    given, None where one must be."""

    expected: str
    read: Callable[[object], Value]
    default: Value = None


class Kind(msgspec.Struct, frozen=True):
    """One row of the table. `value` is None for a kind that takes none."""

    group: Group
    effect: str
    value: ValueKind | None = None


def _words(*words: str, default: str | None = None) -> ValueKind:
    expected = "|".join(words)

    def read(given: object) -> str:
        if given in words:
            return str(given)
        raise ValueError(f"the value must be one of {expected}, not {given!r}")

    return ValueKind(expected, read, default)


def _number(given: object, what: str) -> float:
    try:
        number = float(given) if isinstance(given, str | int | float) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if isinstance(given, bool) or not math.isfinite(number) or number < 0:
        raise ValueError(f"the value must be {what}, not {given!r}")
    return number


def _seconds(default: float) -> ValueKind:
    return ValueKind("SECONDS", lambda given: _number(given, "a number of seconds"), default)


def _units(given: object) -> Value:
    return "none" if given == "none" else _number(given, "a number of units of 0 or more, or none")


_FILES = _words("model", "preview", "all", default="model")
_END_WITH = _words("failure", "result", default="failure")

_S, _E, _R, _M, _T = Group.SUBMIT, Group.END, Group.RESULT, Group.MODEL, Group.TRANSFER

KINDS: Final[Mapping[Fault, Kind]] = MappingProxyType(
    {
        Fault.DROP_AFTER_ACCEPT: Kind(_S, "accepted, then the connection is closed without a reply"),
        Fault.HANG: Kind(_S, "accepted, then the connection stays open without a reply"),
        Fault.MALFORMED: Kind(_S, "accepted, 200 with JSON that breaks off"),
        Fault.NGINX_502: Kind(_S, "refused: nginx's page, no x-fal-request-id"),
        Fault.NGINX_503: Kind(_S, "refused: nginx's page, no x-fal-request-id"),
        Fault.TOO_MANY: Kind(_S, "refused: too many requests"),
        Fault.UNAUTHORIZED: Kind(_S, "refused: the key is not valid"),
        Fault.LOCKED: Kind(_S, 'refused: 403 "User is locked. Reason: …"'),
        Fault.ENDPOINT_403: Kind(_S, "refused: 403, this account may not use this endpoint"),
        Fault.ENDPOINT_DOWN: Kind(
            _S,
            "post: the submit is refused with 503 and x-fal-request-id; result: accepted, the result is 500",
            _words("post", "result", default="post"),
        ),
        Fault.RUNNER_503: Kind(_E, "the result is 503 runner_connection_error, after the latency"),
        Fault.SERVER_ERROR: Kind(_E, "the result is 500 internal_error, after the latency"),
        Fault.INVALID: Kind(_E, "the result is 422 with a list of model errors, after the latency"),
        Fault.SAFETY: Kind(_E, "the same, with words that speak of safety violations"),
        Fault.START_TIMEOUT: Kind(
            _E, "never starts; after the latency the result is 504 with x-fal-request-timeout-type: user"
        ),
        Fault.STATUS_FAILED: Kind(
            _E,
            "at the end the status word is FAILED with an error text; the result is a 500, or as usual",
            _END_WITH,
        ),
        Fault.STATUS_CANCELLED: Kind(
            _E,
            "at the end the status word is CANCELLED with an error text; the result is a 499, or as usual",
            _END_WITH,
        ),
        Fault.RESULT_ERROR: Kind(_E, 'the result is 200 with {"error": "…"} and no file'),
        Fault.REQUEUE: Kind(Group.COURSE, "half way IN_PROGRESS goes back to IN_QUEUE, once"),
        Fault.STATUS_404: Kind(
            Group.STATUS, "status and stream are 404 for so long behind the accepted submit", _seconds(5)
        ),
        Fault.RESULT_404: Kind(_R, "the result is 404 for so long behind COMPLETED", _seconds(5)),
        Fault.RESULT_EXPIRED: Kind(
            _R, "the result is 404 for good, although COMPLETED; by-endpoint has no output of it"
        ),
        Fault.RESULT_HTML: Kind(_R, "the result is 200 with an HTML page"),
        Fault.RESULT_LIST: Kind(_R, "the result is 200 with a JSON list around the output"),
        Fault.NULL_MESH: Kind(Group.MESH, "model_mesh is null, the mesh is in pbr_model"),
        Fault.MODEL_TRUNCATED: Kind(_M, "the model file ends half way"),
        Fault.MODEL_MISSING: Kind(_M, "the model file is 404"),
        Fault.POINTS_ONLY: Kind(_M, "the model file is a GLB of points alone"),
        Fault.NO_BOUNDS: Kind(_M, "the model file is a GLB whose positions have no min and max"),
        Fault.BYTES_BEHIND: Kind(_M, "the model file is a GLB with seven bytes behind its end"),
        Fault.UNKNOWN_FORMAT: Kind(
            _M, "the model file is a Gaussian splat", _words("splat", "spz", default="splat")
        ),
        Fault.PREVIEW_MISSING: Kind(Group.PREVIEW, "the preview's URL is 404"),
        Fault.PREVIEW_ELSEWHERE: Kind(
            Group.PREVIEW, "the preview is on another host or port, the emulator's --elsewhere"
        ),
        Fault.PREVIEW_LATE: Kind(
            Group.PREVIEW,
            "the preview's URL is 404 for so long behind the end of the generation",
            _seconds(5),
        ),
        Fault.FILE_SLOW: Kind(_T, "the file comes little by little, within --slow-transfer", _FILES),
        Fault.FILE_STUCK: Kind(_T, "the file's transfer opens and brings no byte", _FILES),
        Fault.FILE_EMPTY: Kind(_T, "the file is 200 with no bytes", _FILES),
        Fault.FILE_HTML: Kind(_T, "the file is 200 with an HTML page", _FILES),
        Fault.FILE_REDIRECT: Kind(_T, "the file's URL redirects (302) to where it is", _FILES),
        Fault.BILLABLE_UNITS: Kind(
            Group.BILL,
            "X-Fal-Billable-Units of the result and of a 422; none: without the header",
            ValueKind("N", _units),
        ),
        Fault.CANCEL_IGNORED: Kind(Group.CANCEL, "the cancel is 202, but the generation goes on"),
        Fault.LOOKUP_LAG: Kind(Group.LAG, "by-endpoint answers as of some seconds ago"),
        Fault.LOOKUP_BLIND: Kind(Group.BLIND, "by-endpoint leaves out what is still queued"),
        Fault.UPLOAD_TOKEN_500: Kind(
            Group.UPLOAD,
            "the upload token is 500; all: so is the older way of uploading, by initiate",
            _words("all", "token", default="all"),
        ),
        Fault.SIGN_FAILS: Kind(
            Group.SIGN,
            "no address is signed: the answer has this status",
            _words("403", "404", "500", default="500"),
        ),
        Fault.SIGN_EXPIRED: Kind(Group.SIGN, "the signed address has run out when it is used"),
        Fault.DELETE_FAILS: Kind(
            Group.DELETION, "200, in which one file has an exception; that file and the payload stay"
        ),
        Fault.DELETE_500: Kind(Group.DELETION, "500; nothing is deleted"),
        Fault.ADMIN_REFUSED: Kind(
            Group.DELETION, "the admin key is refused with this status", _words("401", "403", default="403")
        ),
    }
)


def group_of(kind: Fault, value: Value) -> Group:
    """Where it acts."""
    return Group.END if kind is Fault.ENDPOINT_DOWN and value == "result" else KINDS[kind].group


def checked_value(kind: Fault, given: object) -> Value:
    """The value in its own type, the default where none is given. Raises ValueError with what is expected."""
    takes = KINDS[kind].value
    if takes is None:
        if given is not None:
            raise ValueError(f"{kind} takes no value")
        return None
    if given is not None:
        try:
            return takes.read(given)
        except ValueError as error:
            raise ValueError(f"{kind}: {error}") from None
    if takes.default is None:
        raise ValueError(f"{kind} needs a value: {takes.expected}")
    return takes.default
