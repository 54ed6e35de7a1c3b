"""The errors that a call of the client can raise, all under one root: catch `ClientError` or one of its
kinds.
"""

from collections.abc import Sequence

from image2model.errors import FileFault, Image2ModelError


class ClientError(Image2ModelError):
    """Root of what the client raises."""


class Unreachable(ClientError):
    """The service did not answer, in any try within the client's patience."""


class BadDownload(ClientError):
    """A file arrived short, or with another size than the service announced."""


class ApiError(ClientError):
    """The service refused: `status` and `code` as documented, `detail` says what to do.

    `errors` names the files to blame; `request_id` finds the call in the service's log;
    `retry_after` is in seconds, None where the service gave none.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FileFault] = (),
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.request_id = request_id
        self.retry_after = retry_after

    @property
    def is_gone(self) -> bool:
        """Whether the requested thing does not exist, or no longer exists."""
        return self.status in {404, 410}
