"""`image2model completion SHELL`: prints the script that lets a shell complete commands and options."""

from typing import Final

import click
from click.shell_completion import get_completion_class

_PROGRAM: Final = "image2model"
_VARIABLE: Final = "_IMAGE2MODEL_COMPLETE"  # click's own: `program` looks at it


@click.command(short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script of a shell: it completes commands, options and their values.

    \b
    bash:  image2model completion bash > ~/.local/share/bash-completion/completions/image2model
    zsh:   image2model completion zsh > "${fpath[1]}/_image2model"
    fish:  image2model completion fish > ~/.config/fish/completions/image2model.fish
    """
    from image2model.cli.program import CLI

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"completion for {shell} is not available; use bash, zsh or fish")
    click.echo(kind(CLI, {}, _PROGRAM, _VARIABLE).source())
