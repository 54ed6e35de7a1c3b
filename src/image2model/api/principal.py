"""Who is asking: the seam where keys come in.

Who calls it: every route, through the application's state. A route never looks at credentials itself.
"""

from collections.abc import Awaitable, Callable
from typing import Final, Literal

import msgspec
from starlette.types import Scope

from image2model.errors import ConfigurationError, Forbidden
from image2model.settings import Settings

Role = Literal["user", "admin"]


class Principal(msgspec.Struct, frozen=True):
    """The caller. `owner` is whose jobs it sees and makes."""

    owner: str
    role: Role


Authenticate = Callable[[Scope], Awaitable[Principal]]
"""Tells who sent a request. Raises Unauthenticated, Forbidden."""

_LOCAL: Final = Principal("local", "admin")


async def everybody_is_local(_scope: Scope) -> Principal:
    """`I2M_AUTH=none`: one owner, who may do everything."""
    return _LOCAL


def require_admin(principal: Principal) -> None:
    """Raises Forbidden for anybody else."""
    if principal.role != "admin":
        raise Forbidden("This needs a key with the role `admin`.")


def authenticator(settings: Settings) -> Authenticate:
    """The way that the settings ask for. Raises ConfigurationError."""
    if settings.auth == "none":
        return everybody_is_local
    raise ConfigurationError(
        ["I2M_AUTH: API keys do not exist yet in this version; set I2M_AUTH=none and listen on loopback"]
    )
