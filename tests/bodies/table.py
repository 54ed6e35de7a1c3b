"""The table of all clients, and one of its rows: send, and judge what became of it."""

from typing import Final

from tests.bodies.browser import CLIENTS as BROWSERS
from tests.bodies.client import Client, Sent
from tests.bodies.command_line import CLIENTS as COMMAND_LINE
from tests.bodies.languages import CLIENTS as LANGUAGES
from tests.bodies.relay import Relay, relaying
from tests.bodies.shapes import CLIENTS as SHAPES
from tests.bodies.world import UPLOAD, World

CLIENTS: Final = {client.name: client for client in (*COMMAND_LINE, *LANGUAGES, *BROWSERS, *SHAPES)}


def send(world: World, client: Client, relay: Relay) -> Sent:
    """Send the client's body. Raises AssertionError unless it was accepted and read as it is meant."""
    paths = [world.paths[number] for number in client.pictures]
    sent = client.send(relay.url + UPLOAD, paths, world.folder)
    assert relay.status == 202, f"status {relay.status}: {sent.answer}"
    world.check(sent.answer, paths, client)
    return sent


def row(world: World, client: Client) -> tuple[str, ...]:
    """Name, version, kind, how the body came, its last file's Content-Disposition, and what came of it."""
    with relaying(world.url) as relay:
        try:
            version, result = send(world, client, relay).version, "202, as sent"
        except AssertionError as wrong:
            version, result = "", f"WRONG: {wrong}"
    length = "chunked" if relay.head("transfer-encoding") else "length"
    how = ", ".join(filter(None, (length, relay.protocol, relay.head("expect"))))
    source = ": ".join(filter(None, (version, client.origin)))
    return client.name, source, client.kind, how, (relay.file_parts or [""])[-1], result
