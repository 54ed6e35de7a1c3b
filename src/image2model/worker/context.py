"""What every task of a worker process shares: the process makes it, the tasks get it with each call."""

from redis.asyncio import Redis

from image2model.fal.gateway import FalGateway
from image2model.settings import Settings
from image2model.storage.objects import ObjectStorage
from image2model.worker.generation_context import GenerationContext
from image2model.worker.webhook_sender import WebhookSender


class WorkerContext(GenerationContext):
    """All open parts. The process opens `webhooks`."""

    def __init__(self, settings: Settings, redis: Redis, storage: ObjectStorage, fal: FalGateway) -> None:
        super().__init__(settings, redis, storage, fal)
        self.webhooks = WebhookSender(allow_private=settings.webhook_allow_private)
