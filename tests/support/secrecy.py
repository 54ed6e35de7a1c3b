"""No secret in a log: what the suite used as one, what looks like one, and the look into every log.

Who calls it: whatever starts a process looks into its log when that has ended; the clients note what they
present and are given; the suite's own conftest looks into what a test wrote in this process. The key, the
cookie and the token that the service makes have a shape of their own, so that none must be known to be
found; what a person chose must be noted.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

_SECRET_SETTINGS: Final = (
    "I2M_ADMIN_KEY",
    "I2M_API_KEY",
    "I2M_METRICS_TOKEN",
    "I2M_WEBHOOK_SECRET",
    "FAL_KEY",
    "I2M_FAL_ADMIN_KEY",
)
_LEAST: Final = 10
"""Characters: a shorter text, such as `wrong`, stands in a log without having been presented."""
_SHAPES: Final = (
    re.compile(r"i2m_[\w-]{20,}", re.ASCII),  # a key
    re.compile(r"whsec_[\w+/=-]{20,}", re.ASCII),  # a webhook's secret
    # a session's cookie, a file's token: random base64url; digests have no upper case, ids are shorter
    re.compile(r"(?<![\w-])(?=[\w-]*[A-Z])(?=[\w-]*[a-z])(?=[\w-]*\d)[\w-]{40,}", re.ASCII),
)


class SecretLeaked(AssertionError):
    """A log holds a secret."""


class Ledger:
    """The secrets of this test process, and when they came up."""

    def __init__(self) -> None:
        self._noted: dict[str, int] = {}
        self.now = 0
        """The moment: how many were noted so far, some of them twice."""

    def note(self, *secrets: str) -> None:
        """They must stand in no log from now on."""
        for secret in secrets:
            if len(secret) >= _LEAST:
                self._noted[secret] = self.now
                self.now += 1

    def note_settings(self, settings: Mapping[str, str]) -> None:
        """Those of a process's settings; of FAL's key `id:secret` also the secret alone."""
        for name in _SECRET_SETTINGS:
            value = settings.get(name, "")
            self.note(value, value.partition(":")[2])
        self.note(urlsplit(settings.get("I2M_REDIS_URL", "")).password or "")

    def note_exchange(self, sent: Mapping[str, str], answered: Mapping[str, str]) -> None:
        """What a request presented, and what its answer gave: header names in any case."""
        told = {name.lower(): value for name, value in sent.items()}
        given = {name.lower(): value for name, value in answered.items()}
        self.note(told.get("authorization", "").partition(" ")[2].strip())
        for cookie in (*told.get("cookie", "").split(";"), given.get("set-cookie", "").partition(";")[0]):
            self.note(cookie.partition("=")[2].strip())
        path = given.get("location", "").partition("?")[0]
        self.note(path.rpartition("/files/")[2] if "/files/" in path else "")

    def since(self, moment: int) -> list[str]:
        """Those noted from a moment on: a process cannot know what came up before its start."""
        return [secret for secret, at in self._noted.items() if at >= moment]


LEDGER: Final = Ledger()


class Watch:
    """On the logs of one process, from its start to its end."""

    def __init__(self, settings: Mapping[str, str], *logs: Path) -> None:
        self._start = LEDGER.now
        LEDGER.note_settings(settings)
        self._logs = logs

    def check(self, *said: str) -> None:
        """Look, after the end. `said` is what it wrote elsewhere. Raises SecretLeaked."""
        secrets = LEDGER.since(self._start)
        for log in self._logs:
            if log.exists():
                check_text(log.read_text(errors="replace"), secrets, str(log))
        for text in said:
            check_text(text, secrets, "what a process said")


def check_text(text: str, secrets: Iterable[str], where: str) -> None:
    """Raises SecretLeaked with the line, the secret itself blanked."""
    for secret in secrets:
        if secret in text:
            raise _leaked(text, text.index(secret), len(secret), where)
    for shape in _SHAPES:
        if found := shape.search(text):
            raise _leaked(text, found.start(), len(found[0]), where)


def _leaked(text: str, at: int, length: int, where: str) -> SecretLeaked:
    begin, end = text.rfind("\n", 0, at) + 1, text.find("\n", at)
    line = text[begin:at] + "[SECRET]" + text[at + length : end if end != -1 else None]
    return SecretLeaked(f"a secret of {length} characters in {where}: {line[:500]}")
