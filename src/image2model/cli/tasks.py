"""Errors out of task groups as they were raised, for the callers that expect one.

Who calls it: the client commands that do several things at once.
"""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def first_error() -> Iterator[None]:
    """Around an `asyncio.TaskGroup`: raises the first error of the group instead of the group."""
    try:
        yield
    except BaseExceptionGroup as several:
        error: BaseException = several
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None
