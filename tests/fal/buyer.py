"""A minimal customer of the gateway: uploads a picture and buys one generation, noting the mark."""

from image2model.domain import FalRequest
from image2model.fal.endpoints import DEFAULT_MODEL, View, payload
from image2model.fal.follow import FalUpdate
from image2model.fal.gateway import FalGateway
from tests.support.endpoints import endpoint_of
from tests.support.sketches import picture


class Buyer:
    """`marks` counts how often the gateway announced that it is about to send."""

    def __init__(self, fal: FalGateway) -> None:
        self.fal = fal
        self.marks = 0
        self.image_url = "https://v3.fal.media/files/none/none.png"

    async def mark(self) -> None:
        """The `before_send` of its submits."""
        self.marks += 1

    async def upload(self) -> str:
        """Upload a small picture and use it from now on."""
        self.image_url = await self.fal.upload(picture(), filename="chair.png", content_type="image/png")
        return self.image_url

    async def submit(self, model: str = DEFAULT_MODEL, **tags: str) -> FalRequest:
        """One submit of that picture."""
        return await self.fal.submit(
            model,
            payload(endpoint_of(model), "chair", [View(self.image_url)], {}),
            tags=tags,
            webhook_url=None,
            before_send=self.mark,
        )

    async def follow(self, request: FalRequest) -> list[FalUpdate]:
        """Every update until it is completed."""
        return [update async for update in self.fal.follow(request)]

    async def buy(self, model: str = DEFAULT_MODEL) -> FalRequest:
        """Upload, submit, and follow to the end."""
        await self.upload()
        request = await self.submit(model)
        await self.follow(request)
        return request
