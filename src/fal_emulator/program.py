"""The command line: reads the flags, serves until a signal, exits 0."""

import argparse
import asyncio
import gc
import logging
import os
import socket
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import msgspec

from fal_emulator.catalogue import drawn_seed
from fal_emulator.config import Config, parse_duration
from fal_emulator.fault_rules import FaultRule, read_rule
from fal_emulator.faults import KINDS
from fal_emulator.lifeline import exit_with_parent
from fal_emulator.model_files import ModelFile, read_model_file
from fal_emulator.server import bind, serve

_EVERY_ADDRESS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared, not bound


def fault_rule(text: str) -> FaultRule:
    """A rule as `read_rule` takes it. Raises ArgumentTypeError that says how to write one."""
    try:
        return read_rule(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}; {_FAULT_FORM}") from error


def duration(text: str) -> float:
    """Seconds. Raises ArgumentTypeError."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def model_file(text: str) -> ModelFile:
    """The file at a path. Raises ArgumentTypeError."""
    try:
        return read_model_file(Path(text))
    except OSError as error:
        raise argparse.ArgumentTypeError(f"cannot read {text}: {error.strerror}") from error


def address(text: str) -> tuple[str, int]:
    """`HOST:PORT`. Raises ArgumentTypeError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def parser() -> argparse.ArgumentParser:
    """All flags."""
    flags = argparse.ArgumentParser(
        "image2model emulator",
        description="FAL on this machine, for tests and trials.",
        epilog=_kinds(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    flags.add_argument("--host", default="127.0.0.1")
    flags.add_argument("--port", type=int, default=8001, help="0: any free one; the ready line tells which")
    flags.add_argument("--latency", type=duration, default=20.0, help="of one generation: 20s, 250ms")
    flags.add_argument("--concurrency", type=int, default=40, help="generations of one account at once")
    flags.add_argument(
        "--cold-start",
        type=duration,
        default=0.0,
        help="how long the first request of an idle endpoint stays IN_QUEUE: 5s",
    )
    flags.add_argument(
        "--concurrency-headers",
        action="store_true",
        help="tell the account's limit in x-fal-concurrency-limit and -remaining",
    )
    flags.add_argument(
        "--fault", type=fault_rule, action="append", default=[], metavar="KIND[=…]", help=_FAULT_FORM
    )
    flags.add_argument(
        "--model-file",
        type=model_file,
        action="append",
        default=[],
        metavar="PATH",
        help="the model file of the results in place of a made one, under its own name; several take turns",
    )
    flags.add_argument(
        "--elsewhere",
        type=address,
        metavar="HOST:PORT",
        help="the second address, for preview_elsewhere; default: the same host, any free port",
    )
    flags.add_argument("--seed", type=int, help="makes the draw of faults repeat")
    flags.add_argument(
        "--schema-seed",
        type=int,
        metavar="N",
        help="settles which enumerations of numbers are strings; without it drawn at each start",
    )
    flags.add_argument("--lookup-lag", type=duration, default=5.0, help="of the fault lookup_lag")
    flags.add_argument(
        "--slow-transfer", type=duration, default=10.0, help="of the fault file_slow, for a whole file"
    )
    flags.add_argument("--webhook-attempts", type=int, default=8)
    flags.add_argument("--webhook-backoff", type=duration, default=0.5, help="after the first attempt")
    flags.add_argument(
        "--result-ttl", type=duration, default=3600.0, help="how long a result can be asked for: 1h"
    )
    flags.add_argument("--memory", type=int, default=512, help="MiB of the disk for uploads and models")
    flags.add_argument(
        "--exit-with-parent",
        type=int,
        nargs="?",
        const=os.getppid(),
        metavar="PID",
        help="end when the parent process does; with its PID also if it has died before this start",
    )
    return flags


_FAULT_FORM = (
    "write KIND[=RATE][@ENDPOINT] with a rate of 0 to 1, or KIND[=VALUE[:RATE]][@ENDPOINT] for a kind that "
    "takes a value"
)


def _kinds() -> str:
    lines = ["kinds of faults:"]
    for fault, kind in KINDS.items():
        name = f"{fault}={kind.value.expected}" if kind.value else str(fault)
        lines += textwrap.wrap(kind.effect, 100, initial_indent=f"  {name:34} ", subsequent_indent=" " * 37)
    lines += [
        "",
        "The same while it runs: POST /_emulator/faults",
        '  {"kind", "rate" or "count", "value"?, "endpoint"?}',
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 after a signal, 1 when the address cannot be bound, 2 for wrong usage."""
    flags = parser().parse_args(arguments)
    if flags.exit_with_parent is not None:
        exit_with_parent(flags.exit_with_parent)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    config = Config(
        latency=flags.latency,
        concurrency=flags.concurrency,
        cold_start=flags.cold_start,
        concurrency_headers=flags.concurrency_headers,
        faults=tuple(flags.fault),
        seed=flags.seed,
        schema_seed=drawn_seed() if flags.schema_seed is None else flags.schema_seed,
        lookup_lag=flags.lookup_lag,
        slow_transfer=flags.slow_transfer,
        model_files=tuple(flags.model_file),
        result_ttl=flags.result_ttl,
        memory=flags.memory * 1024 * 1024,
        webhook_attempts=flags.webhook_attempts,
        webhook_backoff=flags.webhook_backoff,
    )
    addresses = [(flags.host, flags.port), flags.elsewhere or (flags.host, 0)]
    listeners: list[socket.socket] = []
    for host, port in addresses:
        try:
            listeners.append(bind(host, port))
        except OSError as error:
            sys.stderr.write(f"cannot listen on {host}:{port}: {error}\n")
            return 1
    host, port = addresses[1][0], listeners[1].getsockname()[1]
    known = "" if host in _EVERY_ADDRESS else host
    return _run(msgspec.structs.replace(config, elsewhere=(known, port)), listeners, flags.host)


def _run(config: Config, listeners: list[socket.socket], host: str) -> int:
    shown = f"[{host}]" if ":" in host else host

    def ready() -> None:
        sys.stdout.write(f"fal emulator ready on http://{shown}:{listeners[0].getsockname()[1]}\n")
        sys.stdout.write(f"schema seed {config.schema_seed}\n")
        sys.stdout.flush()

    # The ledger only grows and has no cycles: walking it again and again would delay the clock.
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(config, listeners, ready))
    return 0


def _loop_factory() -> "type[asyncio.AbstractEventLoop] | None":
    try:
        import uvloop
    except ImportError:  # Windows
        return None
    return uvloop.new_event_loop  # type: ignore[return-value]
