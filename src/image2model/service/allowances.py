"""Whether a key has anything left to use, asked before a body is read.

Who calls it: the routes that take pictures. The answer that counts is the script's that makes the job;
this one spares a client the upload of what cannot be accepted.
"""

from redis.asyncio import Redis

from image2model.store import accounts
from image2model.store.accounts import Allowance


async def check(redis: Redis, owner: str, allowance: Allowance | None) -> None:
    """Raises BudgetExceeded where nothing is left, QueueFull where no image more may wait."""
    if allowance is not None:
        accounts.check(await accounts.usage(redis, owner, allowance), allowance)
