"""The launchers that there are, by name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module

from voxmill.errors import UsageError
from voxmill.launchers.launcher import Launcher

LAUNCHERS: dict[str, str] = {
    "process": "voxmill.launchers.process:ProcessLauncher",
    "docker": "voxmill.launchers.docker:DockerLauncher",
    "pod": "voxmill.launchers.pod:PodLauncher",
}
"""Class by name, as `module:name`; an engine's library is imported only where it is asked for."""

DEFAULT = "process"
VARIABLE = "VOXMILL_LAUNCHER"


def launcher_name(
    asked: str | None, resources: Mapping[str, object], environ: Mapping[str, str] | None = None
) -> str:
    """Which launcher is meant: the one asked for, else the recipe's, VOXMILL_LAUNCHER, `process`.

    Args:
        asked: What a person or the caller asked for.
        resources: The stage's `meta` with the recipe's `resources` over it.
        environ: Environment variables; by default this process's own.

    Raises:
        UsageError: There is none of that name; told before anything is done for it.
    """
    outer = os.environ if environ is None else environ
    name = asked or str(resources.get("launcher") or "") or outer.get(VARIABLE) or DEFAULT
    _check(name)
    return name


def load_launcher(name: str) -> Launcher:
    """The launcher of that name.

    Raises:
        UsageError: There is none.
    """
    _check(name)
    module, _, attribute = LAUNCHERS[name].partition(":")
    launcher: Launcher = getattr(import_module(module), attribute)()
    return launcher


def _check(name: str) -> None:
    if name not in LAUNCHERS:
        raise UsageError(
            f"No launcher {name!r}; there are: {', '.join(sorted(LAUNCHERS))}. Choose with "
            f"--launcher, resources.launcher in the recipe, or {VARIABLE}."
        )
