"""The program that decodes what may end its process: `python -m image2model.decoding.child`.

`process.DecoderProcess` starts it and sends it one call after another over a pipe. It has limits of its own,
ignores the signals that are meant for its owner, and ends with it. Only its own owner writes to the pipe,
so calls are pickles.
"""

import ctypes
import faulthandler
import logging
import os
import pickle
import resource
import signal
import sys
import traceback
import warnings
from typing import BinaryIO, Final

from image2model.errors import ImageFailure

LENGTH_BYTES: Final = 8
MOST_MEMORY: Final = 6 << 30
"""Bytes of address space: the largest picture takes a tenth of it."""
LONGEST_S = 180
"""Seconds after which a call ends this process: its owner would have killed it before, so it is gone."""
_PR_SET_PDEATHSIG: Final = 1


def main() -> None:
    """Serve calls until the owner closes the pipe."""
    _die_with_parent()
    _set_limits()
    calls = sys.stdin.buffer
    with os.fdopen(os.dup(1), "wb") as answers:
        _silence_libraries()
        _warm_up()
        while (call := read_frame(calls)) is not None:
            signal.alarm(LONGEST_S)
            answer = pickle.dumps(_answer(call), pickle.HIGHEST_PROTOCOL)
            signal.alarm(0)
            write_frame(answers, answer)


def read_frame(stream: BinaryIO) -> bytes | None:
    """One message; None if the stream has ended."""
    head = stream.read(LENGTH_BYTES)
    if len(head) < LENGTH_BYTES:
        return None
    return stream.read(int.from_bytes(head, "big"))


def write_frame(stream: BinaryIO, message: bytes) -> None:
    """Write one message, and flush it."""
    stream.write(len(message).to_bytes(LENGTH_BYTES, "big"))
    stream.write(message)
    stream.flush()


def _answer(call: bytes) -> tuple[str, object]:
    """`result` with the return value, `failure` with the picture's error, or `error` with a traceback."""
    try:
        return "result", pickle.loads(call)()  # noqa: S301 - from our own parent
    except ImageFailure as failure:
        return "failure", (failure.code, failure.message, failure.retryable, failure.fal_type)
    except Exception:  # noqa: BLE001 - its owner reports it
        return "error", traceback.format_exc()


def _die_with_parent() -> None:
    """Die with the owner: on Linux by the parent-death signal, else by the end of the pipe or the alarm."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _silence_libraries() -> None:
    """What libraries print must come neither between the answers nor between the log's JSON lines.

    They say why they cannot decode a file, which its failure says too. A traceback of this program still
    appears.
    """
    logging.getLogger().addHandler(logging.NullHandler())
    warnings.simplefilter("ignore")
    sys.stderr = os.fdopen(os.dup(2), "w")
    faulthandler.enable(sys.stderr)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    os.close(nothing)


def _set_limits() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "linux":
        return  # other systems refuse RLIMIT_AS
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = MOST_MEMORY if most == resource.RLIM_INFINITY else min(MOST_MEMORY, most)
    resource.setrlimit(resource.RLIMIT_AS, (limit, most))


def _warm_up() -> None:
    """Import what the calls need, so that none of them has to wait for it."""
    import image2model.media.model_probe
    import image2model.media.preflight  # noqa: F401


if __name__ == "__main__":
    main()
