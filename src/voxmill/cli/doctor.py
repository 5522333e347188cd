"""`voxmill doctor`: what this machine has, and what to do about what it lacks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from voxmill.cli.machine import Finding


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(doctor)


def doctor() -> None:
    """Says what this machine has and what to do about what is missing.

    Ends with 69 where something is missing that `make demo` needs.
    """
    from voxmill.cli.machine import examine

    findings = examine(os.environ, Path.cwd())
    typer.echo(table(findings))
    missing = [finding.name for finding in findings if finding.needed and not finding.ok]
    if missing:
        from voxmill.errors import EngineMissing

        raise EngineMissing(f"Not ready for `make demo`: see {', '.join(missing)} above.")
    typer.echo("Ready for `make demo`.")


def table(findings: list[Finding]) -> str:
    """One line for each finding: state, name, what was found, what to do."""
    width = max(len(finding.name) for finding in findings)
    return "\n".join(_line(finding, width) for finding in findings)


def _line(finding: Finding, width: int) -> str:
    state = "ok" if finding.ok else "missing" if finding.needed else "without"
    remedy = "" if finding.ok else f"\n{'':{width + 11}}-> {finding.remedy}"
    return f"{state:<8} {finding.name:<{width}}  {finding.found}{remedy}"
