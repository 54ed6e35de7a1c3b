"""The guard over open streams outlives whatever goes wrong in it."""

import asyncio

from image2model.access.gates import StreamGuard
from image2model.access.lookup import Credential


async def test_a_check_that_fails_is_made_again() -> None:
    """A guard that ended with it would leave every later stream unwatched."""
    answers = iter([ValueError("an answer that cannot be read"), False])

    async def is_still_valid(_credential: Credential) -> bool:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, bool)
        return answer

    aborted = asyncio.Event()
    with StreamGuard(is_still_valid).watch_stream(Credential("key", "d"), aborted.set):
        async with asyncio.timeout(60):
            await aborted.wait()
