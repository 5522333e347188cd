"""`voxmill`: commands are declared here; what they do is imported when they run."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from contextlib import suppress
from typing import Annotated

import typer
from typer.exceptions import Abort, TyperException

from voxmill import __version__
from voxmill.errors import UsageError, VoxmillError
from voxmill.observability.logs import log_mode, say_last, set_up_logging

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def build_app() -> typer.Typer:
    """The command line with every command."""
    from voxmill.cli import commands

    app = typer.Typer(
        name="voxmill",
        help="Turns recordings into released speech models.",
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # rich alone would cost a fifth of a start
    )
    app.callback()(_options)
    commands.register(app)
    return app


def main() -> None:
    """Runs the command line; a `VoxmillError` becomes one message and its exit code."""
    try:
        set_up_logging(log_mode(os.environ), os.environ)
    except UsageError as error:
        sys.exit(_said(str(error), error.exit_code))
    code = run(sys.argv[1:])
    if "torch" in sys.modules and all(
        one.daemon for one in threading.enumerate() if one is not threading.main_thread()
    ):
        _leave_at_once(code)
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Runs one command line and gives its exit code; a bug keeps its traceback."""
    try:
        code = build_app()(arguments or ["--help"], prog_name="voxmill", standalone_mode=False)
    except VoxmillError as error:
        return _said(str(error), error.exit_code)
    except TyperException as error:
        return _said(_with_usage(error), UsageError.exit_code)
    except Abort:
        return _said("Left without doing anything.", 1)
    if code == INTERRUPTED:
        return _said("Interrupted. What was finished stays; start again to go on.", INTERRUPTED)
    return code if isinstance(code, int) else 0


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"voxmill {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Say which version this is.", is_eager=True, callback=_say_version
        ),
    ] = False,
) -> None:
    """Turns recordings into released speech models."""


def _said(message: str, code: int) -> int:
    say_last(message, code)
    return code


def _leave_at_once(code: int) -> None:
    """Runs what is registered for the exit and ends, without taking every module apart.

    With torch and transformers that takes 1.7 s of CPU, on a busy machine twenty seconds: more
    than the grace of a stage that has saved and said its last word.
    """
    atexit._run_exitfuncs()  # noqa: SLF001 - there is no public name for it
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # whoever read it has gone
            stream.flush()
    os._exit(code)


def _with_usage(error: TyperException) -> str:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "voxmill"
    message = error.format_message()
    end = "" if message.endswith((".", "?", "!")) else "."
    return f"{message}{end} See `{command} --help`."


if __name__ == "__main__":
    main()
