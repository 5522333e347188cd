"""`voxmill dvc …`: DVC's own commands, with the host key of an SSH remote verified."""

from __future__ import annotations

import os
from pathlib import Path

import typer


def register(app: typer.Typer) -> None:
    """Adds the command."""
    settings = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
    app.command(context_settings=settings)(dvc)


def dvc(context: typer.Context) -> None:
    """Runs a command of DVC, such as `voxmill dvc pull`; ends with DVC's exit code.

    DVC by itself trusts every SSH host. Here the host must be known (`~/.ssh/known_hosts`,
    VOXMILL_SSH_KNOWN_HOSTS or VOXMILL_SSH_FINGERPRINT), and VOXMILL_SSH_KEY and
    VOXMILL_S3_CREDENTIALS hold for checkouts that no run has opened.
    """
    from dvc.cli import main

    from voxmill.runs.remote_access import RemoteAccess
    from voxmill.runs.ssh_remote import access_in_force, verify_host_keys

    access = RemoteAccess.from_environ(os.environ).over(RemoteAccess.of_clone(Path.cwd()))
    if access.credentials_file:
        os.environ["AWS_SHARED_CREDENTIALS_FILE"] = access.credentials_file
    verify_host_keys()
    with access_in_force(access):
        raise typer.Exit(main(context.args))
