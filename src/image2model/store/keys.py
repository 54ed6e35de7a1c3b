"""Every Redis key of ours with its TTL and its place. Nothing else spells a key.

`scripts.library` gives the same names to the Lua scripts. ARQ's keys are in `arq_keys`. A name begins with
its cell's hash tag; in a store that an earlier release made, names have none (`naming`).
"""

from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

TAG: Final = "{i2m}"
"""What the names of keys begin with: the hash tag of the only cell, which is the home cell too."""
PLAIN_PREFIX: Final = "i2m:"
"""What the names of channels begin with, and of keys in a store that an earlier release made."""


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


class Place(StrEnum):
    """Where a key lies, see ARCHITECTURE.md, "Cells".

    A script must not name keys of the home cell and of a job's cell.
    """

    HOME = "home"  # once in the whole service
    CELL = "cell"  # jobs with all that changes in one step with them
    EACH = "each"  # in both, and the same everywhere


class Key(NamedTuple):
    """One kind of key. A `{}` of the template, which is without the prefix, is an id."""

    template: str
    ttl: Ttl
    place: Place


KEYS: Final[dict[str, Key]] = {
    "job": Key("job:{}", Ttl.JOB, Place.CELL),
    "job_events": Key("job:{}:events", Ttl.JOB, Place.CELL),
    "image": Key("image:{}", Ttl.JOB, Place.CELL),
    "deliveries": Key("job:{}:deliveries", Ttl.JOB, Place.CELL),
    "owner_events": Key("owner:{}:events", Ttl.OWNER, Place.CELL),
    "owner_seq": Key("owner:{}:seq", Ttl.OWNER, Place.CELL),
    "owner_jobs": Key("owner:{}:jobs", Ttl.OWNER, Place.HOME),
    # token, time, job: how jobs are found by metadata
    "owner_metadata": Key("owner:{}:metadata", Ttl.OWNER, Place.HOME),
    "owner_active": Key("owner:{}:active", Ttl.OWNER, Place.CELL),
    "owner_turn": Key("owner:{}:turn", Ttl.OWNER, Place.HOME),  # the owner's last start tag
    "owner_low_turn": Key("owner:{}:low-turn", Ttl.OWNER, Place.HOME),
    "owners": Key("owners", Ttl.FLEET, Place.HOME),
    "unfinished": Key("jobs:unfinished", Ttl.FLEET, Place.CELL),
    "deleted": Key("jobs:deleted", Ttl.FLEET, Place.CELL),
    "ended": Key("jobs:ended", Ttl.FLEET, Place.CELL),
    # finished jobs with their whole history, by their end
    "unsettled": Key("jobs:unsettled", Ttl.FLEET, Place.CELL),
    "dead": Key("dead", Ttl.FLEET, Place.CELL),
    "ahead": Key("ahead", Ttl.FLEET, Place.CELL),  # the look-ahead: images that are being prepared
    "prepared": Key("prepared", Ttl.FLEET, Place.CELL),  # those that wait for a permit, in the fair order
    "asked": Key("prepared:asked", Ttl.FLEET, Place.CELL),  # when each of them last asked
    "permits": Key("permits", Ttl.FLEET, Place.CELL),
    "fal_running": Key("fal:running", Ttl.FLEET, Place.HOME),
    "fal_waiting": Key("fal:waiting", Ttl.FLEET, Place.HOME),
    # image -> its endpoint, from its preparation to its end
    "fal_models": Key("fal:models", Ttl.FLEET, Place.CELL),
    # how many requests FAL runs at once, and how we know
    "fal_window": Key("fal:window", Ttl.FLEET, Place.HOME),
    # the same for endpoints with a limit of their own
    "fal_endpoints": Key("fal:endpoints", Ttl.FLEET, Place.HOME),
    "fal_ended": Key("fal:ended", Ttl.FLEET, Place.HOME),  # endpoint -> its last end
    # endpoints whose images wait for a window of their own
    "window_models": Key("window:models", Ttl.FLEET, Place.CELL),
    # image -> its place in the fair order
    "window_waiting": Key("window:{}:waiting", Ttl.ENDPOINT, Place.CELL),
    "turn": Key("turn", Ttl.FLEET, Place.HOME),  # the virtual time of the fair order
    "low_turn": Key("turn:low", Ttl.FLEET, Place.HOME),
    "origins": Key("origins", Ttl.FLEET, Place.CELL),
    "addresses": Key("addresses", Ttl.FLEET, Place.CELL),
    "sweep": Key("sweep:{}", Ttl.FLEET, Place.CELL),
    "window_told": Key("window:told", Ttl.SHORT, Place.HOME),
    "waiting_told": Key("waiting:told", Ttl.SHORT, Place.CELL),
    "workers": Key("workers", Ttl.FLEET, Place.HOME),
    "worker": Key("worker:{}", Ttl.SHORT, Place.HOME),
    # of each queue: workers without tasks -> when they registered to be woken
    "idle_workers": Key("workers:idle:{}", Ttl.SHORT, Place.EACH),
    "upkeep": Key("upkeep", Ttl.SHORT, Place.HOME),  # a worker has just done it for all
    "losses": Key("workers:lost", Ttl.FLEET, Place.HOME),
    "circuit": Key("circuit", Ttl.FLEET, Place.HOME),
    "pause": Key("pause:{}", Ttl.FLEET, Place.EACH),
    "endpoints": Key("endpoints", Ttl.FLEET, Place.HOME),  # those whose circuit is open
    # with 403 since anything was accepted
    "endpoints_refused": Key("endpoints:refused", Ttl.FLEET, Place.HOME),
    # POSTs that failed since anything was accepted
    "endpoints_failing": Key("endpoints:failing", Ttl.FLEET, Place.HOME),
    "endpoint": Key("endpoint:{}", Ttl.ENDPOINT, Place.HOME),
    # image -> its place in the fair order
    "endpoint_waiting": Key("endpoint:{}:waiting", Ttl.ENDPOINT, Place.CELL),
    "endpoint_since": Key("endpoint:{}:since", Ttl.ENDPOINT, Place.CELL),  # image -> when its patience began
    # the copy of FAL's endpoints and prices, renewed by each refresh
    "catalogue": Key("catalogue", Ttl.FLEET, Place.HOME),
    "bills": Key("bills", Ttl.FLEET, Place.HOME),  # the last bookings of each endpoint, beside their quotes
    "recent_costs": Key("bills:recent", Ttl.FLEET, Place.HOME),
    "fal_account": Key("fal:account", Ttl.FLEET, Place.HOME),  # the balance that was read last
    "reuse": Key("reuse:{}", Ttl.OWNER, Place.HOME),
    "reuse_waiting": Key("reuse:{}:waiting", Ttl.OWNER, Place.CELL),
    # digest of a picture and its remover -> an image that has it
    "cutout": Key("cutout:{}", Ttl.OWNER, Place.HOME),
    # image -> until when its pictures can be confirmed
    "confirmations": Key("confirmations", Ttl.FLEET, Place.CELL),
    # addresses of pictures until they are fetched, and what is known by then
    "fetch": Key("fetch:{}", Ttl.SHORT, Place.CELL),
    "idempotency": Key("idempotency:{}:{}", Ttl.SHORT, Place.HOME),
    "lock": Key("lock:{}", Ttl.SHORT, Place.HOME),
    "forbidden": Key("lock:job:{}", Ttl.SHORT, Place.CELL),  # a job that is never made
    "unexpected": Key("unexpected:{}", Ttl.SHORT, Place.CELL),
    "write_probe": Key("probe", Ttl.SHORT, Place.HOME),
    # of requests under way: how each ends; token -> when it was made; token -> images, micro-dollars
    "reservation": Key("reservation:{}", Ttl.SHORT, Place.HOME),
    "reservations": Key("reservations", Ttl.FLEET, Place.HOME),
    "owner_reservations": Key("owner:{}:reservations", Ttl.SHORT, Place.HOME),
    "address_reservations": Key("reservations:at:{}", Ttl.SHORT, Place.HOME),
    "session": Key("session:{}", Ttl.SHORT, Place.HOME),
    "sessions": Key("sessions:{}", Ttl.SHORT, Place.HOME),
    "rate": Key("rate:{}", Ttl.SHORT, Place.HOME),
    "spend": Key("spend:{}", Ttl.SHORT, Place.CELL),
    "booked": Key("image:{}:booked", Ttl.SHORT, Place.CELL),
    "holds": Key("holds", Ttl.FLEET, Place.CELL),
    "held": Key("held", Ttl.FLEET, Place.CELL),
    "api_key": Key("key:{}", Ttl.FOREVER, Place.HOME),
    "api_keys": Key("keys", Ttl.FOREVER, Place.HOME),
    "account": Key("account:{}", Ttl.FOREVER, Place.CELL),
    "leases": Key("leases:{}", Ttl.FOREVER, Place.CELL),
    "store": Key("store", Ttl.FOREVER, Place.EACH),
    "readers": Key("readers", Ttl.FLEET, Place.HOME),
    "postponed": Key("postponed", Ttl.FLEET, Place.CELL),
    # request -> when it is deleted at FAL in any case
    "kept_at_fal": Key("fal:kept", Ttl.FOREVER, Place.CELL),
    # request that has ended -> the next try to delete it
    "fal_deletions": Key("fal:deletions", Ttl.FOREVER, Place.CELL),
    "fal_deletion_entries": Key("fal:deletions:entries", Ttl.FOREVER, Place.CELL),
    "fal_deletion_state": Key("fal:deletions:state", Ttl.FOREVER, Place.CELL),
    "signing_secret": Key("secret:signing", Ttl.FOREVER, Place.HOME),
    "webhook_secret": Key("secret:webhook", Ttl.FOREVER, Place.HOME),
}
"""Every kind of key by the name that scripts use."""


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
        """A queue has a task to start, or a permit came free: for workers that have tasks."""
        return f"{self.prefix}ready"

    def woken(self, worker_id: str) -> str:
        """The same for one worker that has none, and registered in `idle_workers`."""
        return f"{self.ready}:{worker_id}"

    @property
    def catalogue(self) -> str:
        """The catalogue changed, was read again, or shall be."""
        return f"{self.prefix}catalogue"


SHARED_CHANNELS: Final = Channels(PLAIN_PREFIX)
"""The channels of data version 1: every service on the same server receives them, whatever its database."""


def own_channels(store_id: str) -> Channels:
    """The channels of one store alone, since data version 2."""
    return Channels(f"{PLAIN_PREFIX}{store_id}:")


METADATA_TOKEN_DIGITS: Final = 16
"""Hexadecimal digits at the start of an entry of `owner_metadata`, which name a key with its value."""
UNFINISHED_TTL_MS: Final = 30 * 86_400_000
"""TTL of an unfinished job's keys; the reconciler renews it long before it ends."""
FLEET_TTL_MS: Final = 30 * 86_400_000


class StoreKey(str):
    """A key's name with its tag. A connection to a store whose names have none sends `plain`."""

    __slots__ = ()

    @property
    def plain(self) -> str:
        """The same name without a tag."""
        return PLAIN_PREFIX + self.removeprefix(TAG)


def read_key(name: bytes | str) -> StoreKey:
    """A name as a store spells it, with a tag or without."""
    text = name if isinstance(name, str) else name.decode()
    return StoreKey(text if text.startswith(TAG) else TAG + text.removeprefix(PLAIN_PREFIX))


def every_key() -> StoreKey:
    """A pattern for the names of all keys but ARQ's, which have it only where names have tags."""
    return StoreKey(TAG + "*")


FIRST_CELL: Final = StoreKey(TAG)
"""The key that scripts declare: a cluster sends a script to the node of its slot, and all of the cell's keys
lie in this slot. There is no such key."""


def key(name: str, *ids: str) -> StoreKey:
    """The full key: `key("image", image_id)`."""
    return StoreKey(TAG + KEYS[name].template.format(*ids))
