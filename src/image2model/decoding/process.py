"""One decoder process, as its owner sees it: it decodes what may end the process that does.

Its death harms only the call that it was at.
"""

import asyncio
import pickle
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from typing import Final, TypeVar, cast

import structlog

from image2model.decoding.child import LENGTH_BYTES
from image2model.errors import ImageFailure
from image2model.telemetry import metrics

_log: Final = structlog.get_logger(__name__)

PROGRAM: Final = "image2model.decoding.child"
LONGEST_S: Final = 120.0
"""A call that takes longer has hung; the largest picture takes seconds."""

T = TypeVar("T")


class DecoderDied(Exception):
    """The process died, or was killed because it hung, while it was at this call."""


class DecoderProcess:
    """Started when first needed, then kept. Belongs to one event loop; one call at a time."""

    def __init__(self, program: str = PROGRAM, *, longest_s: float = LONGEST_S) -> None:
        self._command = (sys.executable, "-m", program)
        self._longest_s = longest_s
        self._process: Process | None = None
        self._killed: Process | None = None

    async def run(self, call: Callable[[], T]) -> T:
        """The result of `call`, which must be picklable.

        Raises DecoderDied, ImageFailure as the call does, and RuntimeError for any other error of it.
        """
        message = pickle.dumps(call, pickle.HIGHEST_PROTOCOL)
        process = await self._start()
        try:
            async with asyncio.timeout(self._longest_s):
                kind, content = pickle.loads(await _exchange(process, message))  # noqa: S301 - from our own child
        except (asyncio.IncompleteReadError, BrokenPipeError, ConnectionResetError):
            self._process = None
            raise _died(_cause(await process.wait())) from None
        except TimeoutError:
            await self.aclose()
            raise _died(f"it had no end after {self._longest_s:g} s") from None
        except BaseException:
            await self.aclose()  # a late answer would be taken for the next call's
            raise
        return cast("T", _unpacked(kind, content))

    def close(self) -> None:
        """Kill it. The next call starts another."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            self._killed = process
            process.kill()

    async def aclose(self) -> None:
        """Kill it, and wait for its end."""
        self.close()
        if self._killed is not None:
            await self._killed.wait()

    async def _start(self) -> Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(*self._command, stdin=PIPE, stdout=PIPE)
            _log.info("decoder_started", pid=self._process.pid)
        return self._process


def _died(reason: str) -> DecoderDied:
    metrics.DECODER_DEATHS.inc()
    return DecoderDied(reason)


async def _exchange(process: Process, message: bytes) -> bytes:
    assert process.stdin is not None  # noqa: S101 - both are pipes
    assert process.stdout is not None  # noqa: S101
    process.stdin.write(len(message).to_bytes(LENGTH_BYTES, "big"))
    process.stdin.write(message)
    await process.stdin.drain()
    size = int.from_bytes(await process.stdout.readexactly(LENGTH_BYTES), "big")
    return await process.stdout.readexactly(size)


def _unpacked(kind: str, content: object) -> object:
    if kind == "result":
        return content
    if kind == "failure":
        code, message, retryable, fal_type = cast("tuple[str, str, bool, str | None]", content)
        raise ImageFailure(code, message, retryable=retryable, fal_type=fal_type)
    raise RuntimeError(f"in the decoder process: {content}")


def _cause(status: int) -> str:
    if status >= 0:
        return f"it ended with status {status}"
    try:
        return f"{signal.Signals(-status).name} ended it"
    except ValueError:
        return f"signal {-status} ended it"
