"""`python -m fal_emulator`: reads the flags, serves until a signal, exits 0."""

import argparse
import asyncio
import gc
import logging
import os
import socket
import sys
from collections.abc import Sequence

from fal_emulator.config import Config, parse_duration
from fal_emulator.faults import Fault, FaultRule
from fal_emulator.lifeline import exit_with_parent
from fal_emulator.server import bind, serve


def fault_rule(text: str) -> FaultRule:
    """`KIND=RATE`. Raises ArgumentTypeError that names the kinds."""
    kind, _, rate = text.partition("=")
    try:
        return FaultRule(Fault(kind), rate=float(rate or "1"))
    except ValueError as error:
        message = f"{text!r}: {error}; write KIND=RATE with a rate of 0 to 1 and a kind of {', '.join(Fault)}"
        raise argparse.ArgumentTypeError(message) from error


def duration(text: str) -> float:
    """Seconds. Raises ArgumentTypeError."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def parser() -> argparse.ArgumentParser:
    """All flags."""
    flags = argparse.ArgumentParser("fal_emulator", description="FAL on this machine, for tests and trials.")
    flags.add_argument("--host", default="127.0.0.1")
    flags.add_argument("--port", type=int, default=8001, help="0: any free one; the ready line tells which")
    flags.add_argument("--latency", type=duration, default=20.0, help="of one generation: 20s, 250ms")
    flags.add_argument("--concurrency", type=int, default=40, help="generations of one key at once")
    flags.add_argument("--fault", type=fault_rule, action="append", default=[], metavar="KIND=RATE")
    flags.add_argument("--seed", type=int, help="makes the draw of faults repeat")
    flags.add_argument("--lookup-lag", type=duration, default=5.0, help="of the fault lookup_lag")
    flags.add_argument("--webhook-attempts", type=int, default=8)
    flags.add_argument("--webhook-backoff", type=duration, default=0.5, help="after the first attempt")
    flags.add_argument("--memory", type=int, default=512, help="MiB for uploads and models")
    flags.add_argument(
        "--exit-with-parent",
        type=int,
        nargs="?",
        const=os.getppid(),
        metavar="PID",
        help="end when the parent process does; with its PID also if it has died before this start",
    )
    return flags


def main(arguments: Sequence[str] | None = None) -> int:
    """0 after a signal, 1 when the address cannot be bound, 2 for wrong usage."""
    flags = parser().parse_args(arguments)
    if flags.exit_with_parent is not None:
        exit_with_parent(flags.exit_with_parent)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    config = Config(
        latency=flags.latency,
        concurrency=flags.concurrency,
        faults=tuple(flags.fault),
        seed=flags.seed,
        lookup_lag=flags.lookup_lag,
        memory=flags.memory * 1024 * 1024,
        webhook_attempts=flags.webhook_attempts,
        webhook_backoff=flags.webhook_backoff,
    )
    try:
        listener = bind(flags.host, flags.port)
    except OSError as error:
        sys.stderr.write(f"cannot listen on {flags.host}:{flags.port}: {error}\n")
        return 1
    return _run(config, listener, flags.host)


def _run(config: Config, listener: socket.socket, host: str) -> int:
    shown = f"[{host}]" if ":" in host else host

    def ready() -> None:
        sys.stdout.write(f"fal emulator ready on http://{shown}:{listener.getsockname()[1]}\n")
        sys.stdout.flush()

    # The ledger only grows and has no cycles: walking it again and again would delay the clock.
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(config, listener, ready))
    return 0


def _loop_factory() -> "type[asyncio.AbstractEventLoop] | None":
    try:
        import uvloop
    except ImportError:  # Windows
        return None
    return uvloop.new_event_loop  # type: ignore[return-value]


if __name__ == "__main__":
    sys.exit(main())
