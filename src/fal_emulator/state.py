"""Everything one emulator holds while it runs, and the life of a request from its acceptance to its end.

Made by the application, reached by every route. It belongs to one event loop.
"""

import asyncio
from typing import cast
from uuid import uuid4

import msgspec
from starlette.requests import Request

from fal_emulator.access import Lifecycle, Signatures
from fal_emulator.background import Background
from fal_emulator.catalogue import Catalogue
from fal_emulator.config import Config
from fal_emulator.disk import Disk
from fal_emulator.fault_rules import FaultPlan
from fal_emulator.files import Files, Multipart
from fal_emulator.generation import Generation, Phase
from fal_emulator.ledger import Ledger
from fal_emulator.model_files import ModelFiles
from fal_emulator.relations import Origins
from fal_emulator.runners import Runners
from fal_emulator.signing import Signer
from fal_emulator.studio import Studio
from fal_emulator.webhooks import Webhooks

_SWEEP_EVERY = 1000
_MAX_MULTIPARTS = 32


class Settings(msgspec.Struct):
    """What may be changed at run time; seconds."""

    latency: float
    concurrency: int
    lookup_lag: float
    slow_transfer: float
    cold_start: float
    concurrency_headers: bool


class Deletion(msgspec.Struct, frozen=True):
    """One call that deletes payloads: what was answered, and in which phase the request was then.

    `left` counts the files that could not be deleted.
    """

    request_id: str
    status: int
    phase: Phase | None
    left: int = 0


class State:
    """The emulator's parts.

    `preferences` are those of initiated uploads, by path, until their PUT. `payloads` are the requests whose
    input and output are kept. `keyed_reads` counts reads of files with an authorization, `store_io` what
    submits wanted with `X-Fal-Store-IO`: a client that cares for privacy sends neither.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.catalogue = Catalogue(config.schema_seed)
        self.settings = Settings(
            config.latency,
            config.concurrency,
            config.lookup_lag,
            config.slow_transfer,
            config.cold_start,
            config.concurrency_headers,
        )
        self.faults = FaultPlan(config.faults, config.seed)
        self.disk = Disk()
        self.files = Files(self.disk, config.memory, config.upload_ttl)
        self.multiparts: dict[str, Multipart] = {}
        self.preferences: dict[str, Lifecycle] = {}
        self.signatures = Signatures()
        self.keyed_reads = 0
        self.store_io: list[str] = []
        self.payloads: set[str] = set()
        self.deletions: list[Deletion] = []
        self.ledger = Ledger()
        self.signer = Signer()
        self.webhooks = Webhooks(self.signer, config.webhook_attempts, config.webhook_backoff)
        self.model_files = ModelFiles(config.model_files)
        self.studio = Studio(self.files, Origins(self.disk), self.model_files, config)
        self.runners = Runners(config.concurrency, config.cold_start, self.studio.work, self._ended)
        self.background = Background(self.runners)
        self.closing = asyncio.Event()
        self._requests: dict[str, Generation] = {}
        self._accepted = 0

    def accept(self, generation: Generation) -> None:
        """From here on FAL has it: it is in the ledger, it will run, and it is paid."""
        self._accepted += 1
        if self._accepted % _SWEEP_EVERY == 0:
            self.sweep()
        self._requests[generation.request_id] = generation
        self.payloads.add(generation.request_id)
        self.ledger.accepted(generation)
        self.background.account = generation.key_id
        self.runners.accept(generation)

    def open_multipart(self, multipart: Multipart) -> str:
        """The id of a new upload in parts; the oldest unfinished one is forgotten beyond a bound."""
        while len(self.multiparts) >= _MAX_MULTIPARTS:
            del self.multiparts[next(iter(self.multiparts))]
        upload_id = uuid4().hex
        self.multiparts[upload_id] = multipart
        return upload_id

    def find(self, app: str, request_id: str) -> Generation | None:
        """The request of this owner/alias, if it is known."""
        generation = self._requests.get(request_id)
        return generation if generation is not None and generation.endpoint.app == app else None

    def request(self, request_id: str) -> Generation | None:
        """The request of this id, whatever its endpoint."""
        return self._requests.get(request_id)

    def expired(self, generation: Generation) -> bool:
        """Whether a finished result has outlived its hour."""
        finished = generation.finished_at
        return finished is not None and self._now() - finished > self.config.result_ttl

    def close(self) -> None:
        """End open streams and hung connections; stop the threads and what still runs.

        Requests that are being answered may still read from the disk.
        """
        self.closing.set()
        unfinished = [one for one in self._requests.values() if one.phase is not Phase.COMPLETED]
        for generation in unfinished:
            generation.changed()
        self.background.stop()
        self.webhooks.close()
        self.studio.close()
        for generation in unfinished:
            if generation.timer is not None:
                generation.timer.cancel()

    def clear_ledger(self) -> None:
        """Forget the ledger's lines; requests of which only they were left are forgotten too."""
        for generation in self.ledger.generations:
            if generation.request_id not in self._requests:
                generation.forget()
        self.ledger.clear()

    def _ended(self, generation: Generation) -> None:
        if generation.background:
            self.background.ended(generation)
            return
        self.ledger.ended()
        self.webhooks.deliver(generation)
        generation.file(self.disk)

    def sweep(self) -> None:
        """Forget requests whose results have expired; the ledger keeps its lines."""
        listed = {one.request_id for one in self.ledger.generations}
        for key, one in list(self._requests.items()):
            if self.expired(one):
                del self._requests[key]
                if key not in listed:
                    one.forget()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def state_of(request: Request) -> State:
    """The state of the application that got this request."""
    return cast("State", request.app.state.emulator)
