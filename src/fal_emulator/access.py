"""Who may read a stored file and how long it exists: lifecycle preferences, access lists, signed addresses.

Used by the routes that store, make, sign and hand out files. Pure apart from its clock and its secret.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from enum import StrEnum
from typing import Final
from urllib.parse import parse_qs

import msgspec

from fal_emulator.signing import USER_ID

MAX_SIGNED_SECONDS: Final = 7 * 86_400
"""How long a signed address works at most."""
PREFERENCE: Final = "x-fal-object-lifecycle-preference"
_OF_UPLOADS: Final = "x-fal-object-lifecycle"
"""fal-client sends both names with an upload: the CDN reads this one, the storage API the other."""


class Decision(StrEnum):
    """What an access list says: `hide` denies as if there was no such file."""

    ALLOW = "allow"
    FORBID = "forbid"
    HIDE = "hide"


class Rule(msgspec.Struct, frozen=True):
    """The decision for one user."""

    user: str
    decision: Decision


class Acl(msgspec.Struct, frozen=True):
    """A file's access list."""

    default: Decision
    rules: tuple[Rule, ...] = ()

    def applied(self) -> "Acl":
        """Without the rules for users that do not exist: the emulator has one account."""
        return Acl(self.default, tuple(rule for rule in self.rules if rule.user == USER_ID))


PUBLIC: Final = Acl(Decision.ALLOW)


class Lifecycle(msgspec.Struct, frozen=True):
    """A lifecycle preference. Seconds, None: the file does not expire."""

    expiration_duration_seconds: int | None = None
    initial_acl: Acl | None = None

    @property
    def acl(self) -> Acl:
        """The list that a new file gets."""
        return PUBLIC if self.initial_acl is None else self.initial_acl.applied()

    def expires_at(self) -> float | None:
        """When a file that is stored now expires (monotonic seconds)."""
        seconds = self.expiration_duration_seconds
        return None if seconds is None else time.monotonic() + seconds


NO_PREFERENCE: Final = Lifecycle()
_decode_lifecycle: Final = msgspec.json.Decoder(Lifecycle).decode


def lifecycle_of(headers: Mapping[str, str]) -> Lifecycle:
    """The preference in a request's headers. Raises ValueError."""
    text = headers.get(PREFERENCE) or headers.get(_OF_UPLOADS)
    if not text:
        return NO_PREFERENCE
    try:
        found = _decode_lifecycle(text)
    except msgspec.DecodeError as error:
        raise ValueError(f"X-Fal-Object-Lifecycle-Preference: {error}") from error
    seconds = found.expiration_duration_seconds
    if seconds is not None and seconds < 1:
        raise ValueError("X-Fal-Object-Lifecycle-Preference: expiration_duration_seconds must be 1 or more")
    return found


class Signatures:
    """Makes and checks the query of signed addresses."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def query(self, path: str, seconds: float) -> str:
        """The query that opens the file at `path` for so long."""
        until = f"{time.time() + seconds:.3f}"
        return f"identity={self._sign(path, until)}&until={until}"

    def opens(self, path: str, query: str) -> bool:
        """Whether the query is one of ours for this file, and has not run out."""
        fields = parse_qs(query)
        identity, until = fields.get("identity", [""])[0], fields.get("until", [""])[0]
        if not hmac.compare_digest(identity, self._sign(path, until)):
            return False
        return time.time() < float(until)

    def _sign(self, path: str, until: str) -> str:
        return hmac.new(self._secret, f"{path}\n{until}".encode(), hashlib.sha256).hexdigest()
