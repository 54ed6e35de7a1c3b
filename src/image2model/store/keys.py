"""Every Redis key of ours, with how long it lives. Nothing else spells a key.

Who calls it: the store's modules; `script.library` hands the same names to the scripts. ARQ's keys are in
`arq_keys`.
"""

from enum import StrEnum
from typing import Final

import msgspec

PREFIX: Final = "i2m:"


class Queue(StrEnum):
    """The three queues: pictures, what follows a batch, and the house's own upkeep."""

    GENERATION = "model_generation"
    BATCH = "batch_processing"
    MAINTENANCE = "maintenance"


class Life(StrEnum):
    """How long a key lives."""

    JOB = "job"  # while the job is unfinished, then I2M_JOB_TTL from its end
    OWNER = "owner"  # I2M_JOB_TTL after the owner's last event
    FLEET = "fleet"  # renewed by every worker
    ENDPOINT = "endpoint"  # renewed by every worker while the endpoint's circuit is open
    SHORT = "short"  # seconds to a day; the script that writes it says
    FOREVER = "forever"  # queues, leases, keys and budgets, the store's id, the signing secret


LIVES: Final[dict[str, tuple[str, Life]]] = {
    "job": ("job:{}", Life.JOB),
    "job_events": ("job:{}:events", Life.JOB),
    "image": ("image:{}", Life.JOB),
    "deliveries": ("job:{}:deliveries", Life.JOB),
    "owner_events": ("owner:{}:events", Life.OWNER),
    "owner_seq": ("owner:{}:seq", Life.OWNER),
    "owner_jobs": ("owner:{}:jobs", Life.OWNER),
    "owner_active": ("owner:{}:active", Life.OWNER),
    "owner_turn": ("owner:{}:turn", Life.OWNER),
    "owners": ("owners", Life.FLEET),
    "unfinished": ("jobs:unfinished", Life.FLEET),
    "deleted": ("jobs:deleted", Life.FLEET),
    "ended": ("jobs:ended", Life.FLEET),
    "dead": ("dead", Life.FLEET),
    "ahead": ("ahead", Life.FLEET),
    "permits": ("permits", Life.FLEET),
    "turn": ("turn", Life.FLEET),
    "origins": ("origins", Life.FLEET),
    "addresses": ("addresses", Life.FLEET),
    "claims": ("claims", Life.FLEET),
    "sweep": ("sweep:{}", Life.FLEET),
    "waiting_told": ("waiting:told", Life.SHORT),
    "workers": ("workers", Life.FLEET),
    "worker": ("worker:{}", Life.SHORT),
    "losses": ("workers:lost", Life.FLEET),
    "circuit": ("circuit", Life.FLEET),
    "pause": ("pause:{}", Life.FLEET),
    "endpoints": ("endpoints", Life.FLEET),  # those whose circuit is open
    "endpoints_refused": ("endpoints:refused", Life.FLEET),  # with 403 since anything was accepted
    "endpoints_failing": ("endpoints:failing", Life.FLEET),  # POSTs that failed since anything was accepted
    "endpoint": ("endpoint:{}", Life.ENDPOINT),
    "endpoint_waiting": ("endpoint:{}:waiting", Life.ENDPOINT),  # image -> its turn
    "endpoint_since": ("endpoint:{}:since", Life.ENDPOINT),  # image -> when its patience began
    "reuse": ("reuse:{}", Life.OWNER),
    "reuse_waiting": ("reuse:{}:waiting", Life.OWNER),
    "idempotency": ("idempotency:{}:{}", Life.SHORT),
    "lock": ("lock:{}", Life.SHORT),
    "unexpected": ("unexpected:{}", Life.SHORT),
    "write_probe": ("probe", Life.SHORT),
    "session": ("session:{}", Life.SHORT),
    "sessions": ("sessions:{}", Life.SHORT),
    "rate": ("rate:{}", Life.SHORT),
    "spend": ("spend:{}", Life.SHORT),
    "booked": ("image:{}:booked", Life.SHORT),
    "holds": ("holds", Life.FLEET),
    "held": ("held", Life.FLEET),
    "api_key": ("key:{}", Life.FOREVER),
    "api_keys": ("keys", Life.FOREVER),
    "account": ("account:{}", Life.FOREVER),
    "leases": ("leases:{}", Life.FOREVER),
    "store": ("store", Life.FOREVER),
    "readers": ("readers", Life.FLEET),
    "postponed": ("postponed", Life.FLEET),
    "signing_secret": ("secret:signing", Life.FOREVER),
    "webhook_secret": ("secret:webhook", Life.FOREVER),
}
"""Name -> (template without the prefix, life). A `{}` is an id."""


class Channels(msgspec.Struct, frozen=True):
    """The names of pub/sub channels. A server has one set of them for all its databases."""

    prefix: str

    def bell(self, owner: str) -> str:
        """An owner's events."""
        return f"{self.prefix}bell:{owner}"

    @property
    def control(self) -> str:
        """What running images must hear at once."""
        return f"{self.prefix}control"

    @property
    def ready(self) -> str:
        """A queue has something to start, or a permit came free."""
        return f"{self.prefix}ready"


SHARED_CHANNELS: Final = Channels(PREFIX)
"""Those of data version 1: whoever uses the same server hears them, whatever its database number."""


def own_channels(store_id: str) -> Channels:
    """Those of one store alone, since data version 2."""
    return Channels(f"{PREFIX}{store_id}:")


UNFINISHED_TTL_MS: Final = 30 * 86_400_000
"""Life of an unfinished job's keys; the reconciler renews it long before it ends."""
FLEET_TTL_MS: Final = 30 * 86_400_000


def key(name: str, *ids: str) -> str:
    """The full key: `key("image", image_id)`."""
    return PREFIX + LIVES[name][0].format(*ids)
