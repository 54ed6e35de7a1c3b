"""Every Redis key of ours with its TTL. Nothing else spells a key.

`scripts.library` gives the same names to the Lua scripts. ARQ's keys are in `arq_keys`.
"""

from enum import StrEnum
from typing import Final

import msgspec

PREFIX: Final = "i2m:"


class Queue(StrEnum):
    """The queues: images, what follows a batch, maintenance, and pictures that came as addresses."""

    GENERATION = "model_generation"
    BATCH = "batch_processing"
    MAINTENANCE = "maintenance"
    FETCH = "picture_fetch"


class Ttl(StrEnum):
    """The kind of a key's TTL."""

    JOB = "job"  # while the job is unfinished, then I2M_JOB_TTL from its end
    OWNER = "owner"  # I2M_JOB_TTL after the owner's last event
    FLEET = "fleet"  # renewed by every worker
    ENDPOINT = "endpoint"  # renewed by every worker while the endpoint's circuit is open
    SHORT = "short"  # seconds to a day; the script that writes it says
    FOREVER = "forever"  # queues, leases, keys and budgets, the store's id, secrets, deletions owed at FAL


TTLS: Final[dict[str, tuple[str, Ttl]]] = {
    "job": ("job:{}", Ttl.JOB),
    "job_events": ("job:{}:events", Ttl.JOB),
    "image": ("image:{}", Ttl.JOB),
    "deliveries": ("job:{}:deliveries", Ttl.JOB),
    "owner_events": ("owner:{}:events", Ttl.OWNER),
    "owner_seq": ("owner:{}:seq", Ttl.OWNER),
    "owner_jobs": ("owner:{}:jobs", Ttl.OWNER),
    "owner_metadata": ("owner:{}:metadata", Ttl.OWNER),  # token, time, job: how jobs are found by metadata
    "owner_active": ("owner:{}:active", Ttl.OWNER),
    "owner_turn": ("owner:{}:turn", Ttl.OWNER),  # the owner's last start tag
    "owner_low_turn": ("owner:{}:low-turn", Ttl.OWNER),
    "owners": ("owners", Ttl.FLEET),
    "unfinished": ("jobs:unfinished", Ttl.FLEET),
    "deleted": ("jobs:deleted", Ttl.FLEET),
    "ended": ("jobs:ended", Ttl.FLEET),
    "unsettled": ("jobs:unsettled", Ttl.FLEET),  # finished jobs with their whole history, by their end
    "dead": ("dead", Ttl.FLEET),
    "ahead": ("ahead", Ttl.FLEET),  # the look-ahead: images that are being prepared
    "prepared": ("prepared", Ttl.FLEET),  # those that wait for a permit, in the fair order
    "asked": ("prepared:asked", Ttl.FLEET),  # when each of them last asked
    "permits": ("permits", Ttl.FLEET),
    "fal_running": ("fal:running", Ttl.FLEET),
    "fal_waiting": ("fal:waiting", Ttl.FLEET),
    "fal_models": ("fal:models", Ttl.FLEET),  # image -> its endpoint, from its preparation to its end
    "fal_window": ("fal:window", Ttl.FLEET),  # how many requests FAL runs at once, and how we know
    "fal_endpoints": ("fal:endpoints", Ttl.FLEET),  # the same for endpoints with a limit of their own
    "fal_ended": ("fal:ended", Ttl.FLEET),  # endpoint -> its last end
    "window_models": ("window:models", Ttl.FLEET),  # endpoints whose images wait for a window of their own
    "window_waiting": ("window:{}:waiting", Ttl.ENDPOINT),  # image -> its place in the fair order
    "turn": ("turn", Ttl.FLEET),  # the virtual time of the fair order
    "low_turn": ("turn:low", Ttl.FLEET),
    "origins": ("origins", Ttl.FLEET),
    "addresses": ("addresses", Ttl.FLEET),
    "sweep": ("sweep:{}", Ttl.FLEET),
    "window_told": ("window:told", Ttl.SHORT),
    "waiting_told": ("waiting:told", Ttl.SHORT),
    "workers": ("workers", Ttl.FLEET),
    "worker": ("worker:{}", Ttl.SHORT),
    "losses": ("workers:lost", Ttl.FLEET),
    "circuit": ("circuit", Ttl.FLEET),
    "pause": ("pause:{}", Ttl.FLEET),
    "endpoints": ("endpoints", Ttl.FLEET),  # those whose circuit is open
    "endpoints_refused": ("endpoints:refused", Ttl.FLEET),  # with 403 since anything was accepted
    "endpoints_failing": ("endpoints:failing", Ttl.FLEET),  # POSTs that failed since anything was accepted
    "endpoint": ("endpoint:{}", Ttl.ENDPOINT),
    "endpoint_waiting": ("endpoint:{}:waiting", Ttl.ENDPOINT),  # image -> its place in the fair order
    "endpoint_since": ("endpoint:{}:since", Ttl.ENDPOINT),  # image -> when its patience began
    "catalogue": ("catalogue", Ttl.FLEET),  # the copy of FAL's endpoints and prices, renewed by each refresh
    "bills": ("bills", Ttl.FLEET),  # the last bookings of each endpoint, beside their quotes
    "recent_costs": ("bills:recent", Ttl.FLEET),
    "fal_account": ("fal:account", Ttl.FLEET),  # the balance that was read last
    "reuse": ("reuse:{}", Ttl.OWNER),
    "reuse_waiting": ("reuse:{}:waiting", Ttl.OWNER),
    "cutout": (
        "cutout:{}",
        Ttl.OWNER,
    ),  # digest of a picture and its remover -> an image that has it
    "confirmations": (
        "confirmations",
        Ttl.FLEET,
    ),  # image -> until when its pictures can be confirmed
    "fetch": (
        "fetch:{}",
        Ttl.SHORT,
    ),  # addresses of pictures until they are fetched, and what is known by then
    "idempotency": ("idempotency:{}:{}", Ttl.SHORT),
    "lock": ("lock:{}", Ttl.SHORT),
    "unexpected": ("unexpected:{}", Ttl.SHORT),
    "write_probe": ("probe", Ttl.SHORT),
    "session": ("session:{}", Ttl.SHORT),
    "sessions": ("sessions:{}", Ttl.SHORT),
    "rate": ("rate:{}", Ttl.SHORT),
    "spend": ("spend:{}", Ttl.SHORT),
    "booked": ("image:{}:booked", Ttl.SHORT),
    "holds": ("holds", Ttl.FLEET),
    "held": ("held", Ttl.FLEET),
    "api_key": ("key:{}", Ttl.FOREVER),
    "api_keys": ("keys", Ttl.FOREVER),
    "account": ("account:{}", Ttl.FOREVER),
    "leases": ("leases:{}", Ttl.FOREVER),
    "store": ("store", Ttl.FOREVER),
    "readers": ("readers", Ttl.FLEET),
    "postponed": ("postponed", Ttl.FLEET),
    "kept_at_fal": ("fal:kept", Ttl.FOREVER),  # request -> when it is deleted at FAL in any case
    "fal_deletions": ("fal:deletions", Ttl.FOREVER),  # request that has ended -> the next try to delete it
    "fal_deletion_entries": ("fal:deletions:entries", Ttl.FOREVER),
    "fal_deletion_state": ("fal:deletions:state", Ttl.FOREVER),
    "signing_secret": ("secret:signing", Ttl.FOREVER),
    "webhook_secret": ("secret:webhook", Ttl.FOREVER),
}
"""Name -> (template without the prefix, kind of TTL). A `{}` is an id."""


class Channels(msgspec.Struct, frozen=True):
    """The names of pub/sub channels, which all databases of a server share."""

    prefix: str

    def notification(self, owner: str) -> str:
        """An owner's events."""
        return f"{self.prefix}bell:{owner}"

    @property
    def control(self) -> str:
        """Cancellations of running images."""
        return f"{self.prefix}control"

    @property
    def ready(self) -> str:
        """A queue has a task to start, or a permit came free."""
        return f"{self.prefix}ready"

    @property
    def catalogue(self) -> str:
        """The catalogue changed, was read again, or shall be."""
        return f"{self.prefix}catalogue"


SHARED_CHANNELS: Final = Channels(PREFIX)
"""The channels of data version 1: every service on the same server receives them, whatever its database."""


def own_channels(store_id: str) -> Channels:
    """The channels of one store alone, since data version 2."""
    return Channels(f"{PREFIX}{store_id}:")


METADATA_TOKEN_DIGITS: Final = 16
"""Hexadecimal digits at the start of an entry of `owner_metadata`, which name a key with its value."""
UNFINISHED_TTL_MS: Final = 30 * 86_400_000
"""TTL of an unfinished job's keys; the reconciler renews it long before it ends."""
FLEET_TTL_MS: Final = 30 * 86_400_000


def key(name: str, *ids: str) -> str:
    """The full key: `key("image", image_id)`."""
    return PREFIX + TTLS[name][0].format(*ids)
