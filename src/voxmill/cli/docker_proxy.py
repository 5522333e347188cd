"""`voxmill docker-proxy`: a Docker socket that takes stages' containers and nothing else."""

from __future__ import annotations

import logging
import os
import signal
import socket
from pathlib import Path
from typing import Annotated

import typer

LISTEN = Path("/run/voxmill/docker.sock")
ENGINE = Path("/var/run/docker.sock")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("docker-proxy")(docker_proxy)


def docker_proxy(
    home: Annotated[
        Path | None, typer.Option(help="Folders below may be mounted; default: VOXMILL_HOME.")
    ] = None,
    read_only: Annotated[
        list[Path] | None, typer.Option(help="May be mounted read-only: recordings.")
    ] = None,
    image: Annotated[
        list[str] | None, typer.Option(help="An image that stages may run in.")
    ] = None,
    listen: Annotated[Path, typer.Option(help="Socket to make.")] = LISTEN,
    own_mount: Annotated[
        bool, typer.Option("--own-mount", help="Refuse a home that the host has elsewhere.")
    ] = False,
    engine: Annotated[Path, typer.Option(help="The engine's own socket.")] = ENGINE,
) -> None:
    """Passes on to Docker what the launcher `docker` needs; refuses and logs everything else."""
    from voxmill.errors import EngineMissing, UsageError
    from voxmill.launchers.engine_proxy import EngineProxy, inspected
    from voxmill.launchers.engine_rules import Rules
    from voxmill.launchers.same_path import note_same_path

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    home = home or Path(os.environ.get("VOXMILL_HOME", ""))
    if not home.is_absolute() or not home.is_dir():
        raise UsageError(
            f"--home (or VOXMILL_HOME): found {str(home)!r}, expected an absolute folder that is "
            f"there, under the same path as on the host."
        )
    if not engine.is_socket():
        raise EngineMissing(f"{engine} is no socket: name the Docker engine's with --engine.")
    if own_mount:
        note_same_path(home, inspected(engine, socket.gethostname()) or {})
    rules = Rules(
        home=home, readable=tuple(read_only or ()), images=tuple(image or ("voxmill-stage",))
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with EngineProxy(listen, engine, rules) as proxy:
            typer.echo(f"Docker for stages below {home}: unix://{listen}")
            proxy.serve_forever()
    except KeyboardInterrupt:
        return
    finally:
        listen.unlink(missing_ok=True)
