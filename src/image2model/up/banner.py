"""What `up` tells the person at the terminal, on standard output.

Who calls it: the supervisor. Logs of the children go to standard error, as they are.
"""

import sys

from image2model.up.plan import Plan


def say(text: str) -> None:
    """One line, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def say_hello(plan: Plan) -> None:
    """Where it will be, where its data is, and what the person should know before using it."""
    settings = plan.settings
    say(f"image2model   {plan.url}")
    say(f"data          {plan.data_dir}")
    if plan.emulator_port is not None:
        say(f"FAL emulator  http://127.0.0.1:{plan.emulator_port}  no FAL_KEY is set, nothing is paid for")
    if settings.auth == "none":
        reach = "this machine" if settings.on_loopback else f"the network of {settings.host}"
        say(f"no keys       I2M_AUTH=none: whoever reaches {reach} may use it")
