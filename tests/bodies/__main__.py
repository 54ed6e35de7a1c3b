"""`python -m tests.bodies`: every client sends its body to the running service, and a table says what came of it."""

import sys

from tests.bodies.command_line import CLIENTS as COMMAND_LINE
from tests.bodies.languages import CLIENTS as LANGUAGES
from tests.bodies.relay import relaying
from tests.bodies.world import UPLOAD, running

wanted = sys.argv[1:]
with running() as world:
    for client in (*COMMAND_LINE, *LANGUAGES):
        if wanted and not any(one in client.name for one in wanted):
            continue
        with relaying(world.url) as relay:
            try:
                sent = client.send(relay.url + UPLOAD, world.paths[: len(client.shown)], world.folder)
                world.check(sent.answer, client.shown, fields=client.fields)
                print("OK ", client.name, sent.version, relay.status)
            except Exception as error:
                print("BAD", client.name, relay.status, type(error), str(error)[:600], file=sys.stdout)
        for one in relay.file_parts: print("      ", one)
        sys.stdout.flush()
