"""One check of the readiness answer. Who calls it: health, and whatever it asks."""

import msgspec


class Check(msgspec.Struct, frozen=True):
    """What was found, in a sentence."""

    ok: bool
    detail: str
