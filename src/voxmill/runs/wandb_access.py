"""Whether runs have to reach Weights & Biases, and whether this machine can log in there.

Asked without wandb, which a worker need not have: its own places for a key are a variable and the
netrc file that `wandb login` writes. Keys are looked for and never kept or shown.
"""

from __future__ import annotations

import netrc
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from voxmill.errors import UsageError

VARIABLE = "VOXMILL_WANDB"
KEY = "WANDB_API_KEY"
MODE = "WANDB_MODE"
OFFLINE = frozenset(("offline", "dryrun"))
"""What wandb itself takes for files instead of a server."""
DISABLED = "disabled"
_CHOICES = ("optional", "required")
_HOST = "api.wandb.ai"
_OTHER_NAME = "api.forge.coreweave.com"  # of the same server; wandb takes a key for either


@dataclass(frozen=True, kw_only=True)
class WandbAccess:
    """What opening a run has to know of Weights & Biases."""

    problem: str = ""
    """Why runs that have to reach it cannot; empty where they can, or need not."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> WandbAccess:
        """What the environment says.

        Args:
            environ: `VOXMILL_WANDB`, `WANDB_MODE` and what `missing_login` names are read.

        Raises:
            UsageError: `VOXMILL_WANDB` is neither `required` nor `optional`.
        """
        found = environ.get(VARIABLE, "").strip()
        if found not in {"", *_CHOICES}:
            raise UsageError(f"{VARIABLE}: found {found!r}, expected {' or '.join(_CHOICES)}.")
        mode = environ.get(MODE, "")
        if found != "required" or mode in OFFLINE:
            return cls()
        if mode == DISABLED:
            return cls(problem=f"{MODE}={DISABLED}: it would take nothing; unset that.")
        return cls(problem=missing_login(environ))

    def check(self) -> None:
        """Refuses to open a run that could not be passed on later.

        Raises:
            UsageError: Weights & Biases is required, and this machine cannot log in there, or
                W&B is disabled on it.
        """
        if self.problem:
            raise UsageError(
                f"{VARIABLE}=required, but nothing of this run could reach Weights & Biases from "
                f"here. {self.problem} Set {KEY} to the key of https://wandb.ai/authorize, run "
                f"`wandb login`, or set {MODE}=offline and `wandb sync` later. Nothing was opened."
            )


def missing_login(environ: Mapping[str, str]) -> str:
    """Says which login is missing; empty where there is one.

    Args:
        environ: `WANDB_API_KEY`, `WANDB_BASE_URL`, `NETRC` and `HOME` are read.
    """
    if environ.get(KEY, "").strip():
        return ""
    hosts = _hosts(environ.get("WANDB_BASE_URL", ""))
    file = _netrc_file(environ)
    try:
        entries = netrc.netrc(str(file))
    except FileNotFoundError:
        found = "is not there"
    except netrc.NetrcParseError as error:
        # Its message quotes the file, which holds passwords.
        found = f"cannot be read (line {error.lineno})"
    except (OSError, UnicodeDecodeError) as error:
        found = f"cannot be read ({type(error).__name__})"
    else:
        if any((entries.authenticators(host) or ("", "", ""))[2] for host in hosts):
            return ""
        found = f"has no password for {hosts[0]}"
    return f"{KEY}: not set, and {file} {found}."


def _hosts(base_url: str) -> tuple[str, ...]:
    host = urlsplit(base_url).netloc or _HOST
    return (_HOST, _OTHER_NAME) if host in {_HOST, _OTHER_NAME} else (host,)


def _netrc_file(environ: Mapping[str, str]) -> Path:
    if named := environ.get("NETRC"):
        return Path(named).expanduser()
    home = Path(environ.get("HOME") or Path.home())
    usual, other = home / ".netrc", home / "_netrc"  # the latter as on Windows; wandb takes both
    return other if other.exists() and not usual.exists() else usual
