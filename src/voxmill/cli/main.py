"""`voxmill`: commands are declared here; what they do is imported when they run."""

from __future__ import annotations

import logging
import sys

import typer

from voxmill.errors import VoxmillError

app = typer.Typer(
    name="voxmill",
    help="Turns recordings into released speech models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Runs the command line; a `VoxmillError` becomes one message and its exit code."""
    from voxmill.cli import commands

    commands.register(app)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        app()
    except VoxmillError as error:
        sys.stderr.write(f"voxmill: {error}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
