"""Whether the client of a long answer is still there.

Who calls it: the routes that stream files. A send to a client that has left raises nothing: without this a
file would be read to its end, out of a storage that may bill for it, for nobody.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from starlette.types import Receive


@contextmanager
def watching(receive: Receive) -> Iterator[Callable[[], bool]]:
    """For the time of the block, a function that tells whether the client has left."""
    gone = asyncio.create_task(_gone(receive))
    try:
        yield gone.done
    finally:
        gone.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
