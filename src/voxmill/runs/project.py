"""The project: the checkout that recipes are edited in, and where its runs and caches lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from voxmill.errors import UsageError
from voxmill.runs.git import Git, GitFailed
from voxmill.runs.remote_access import RemoteAccess, check_remote_url
from voxmill.runs.wandb_access import WandbAccess

PROJECT_KEY = "voxmill.project"
"""Git setting of a run's clone: the project that it belongs to."""


@dataclass(frozen=True, kw_only=True)
class Project:
    """Where everything of a project lies; read from the environment once."""

    root: Path
    """The project's checkout: dvc.yaml, recipes/, memory/."""
    home: Path
    """`VOXMILL_HOME`: runs/, cache/ and, unless told otherwise, remote/."""
    data: Path
    """`VOXMILL_DATA`: where a recipe's relative source path starts; the checkout by default."""
    origin: str
    """`VOXMILL_GIT`: folder or URL that branches and tags go to; the checkout by default."""
    remote: str
    """`VOXMILL_REMOTE`: DVC remote, absolute; `home/remote` by default."""
    main_branch: str
    """Branch of the origin that memory is merged into."""
    access: RemoteAccess = field(default_factory=RemoteAccess)
    """`VOXMILL_SSH_…`, `VOXMILL_S3_…`: how this machine gets at the remote."""
    wandb: WandbAccess = field(default_factory=WandbAccess)
    """`VOXMILL_WANDB`: whether runs have to reach Weights & Biases."""

    @classmethod
    def find(cls, start: Path, environ: Mapping[str, str]) -> Project:
        """The project that `start` lies in; inside a run's clone, the project of that run.

        Args:
            start: Any folder of the project.
            environ: The environment; `VOXMILL_HOME`, `VOXMILL_GIT`, `VOXMILL_REMOTE`,
                `VOXMILL_DATA` and what `RemoteAccess` and `WandbAccess` name are read.

        Raises:
            UsageError: There is no git checkout with a dvc.yaml and a commit, or a variable is
                wrong.
        """
        root = _checkout(start)
        home = Path(environ.get("VOXMILL_HOME") or root / ".voxmill").absolute()
        remote = environ.get("VOXMILL_REMOTE") or str(home / "remote")
        origin = environ.get("VOXMILL_GIT") or str(root)
        origin = str(Path(origin).absolute()) if Path(origin).exists() else origin
        return cls(
            root=root,
            home=home,
            data=Path(environ.get("VOXMILL_DATA") or root).absolute(),
            origin=origin,
            remote=check_remote_url(remote) if "://" in remote else str(Path(remote).absolute()),
            main_branch=_main_branch(root, origin),
            access=RemoteAccess.from_environ(environ),
            wandb=WandbAccess.from_environ(environ),
        )

    @classmethod
    def of_clone(cls, folder: Path) -> Project:
        """The project of a run, as it was when the run was opened.

        A worker that resumes a run need not be told again where the origin and the caches are.

        Raises:
            UsageError: The folder is no run's clone.
        """
        listed = Git(folder).run("config", "--local", "--null", "--list").split("\0")
        known = dict(entry.split("\n", 1) for entry in listed if "\n" in entry)
        try:
            return cls(
                root=Path(known[PROJECT_KEY]),
                home=Path(known["voxmill.home"]),
                data=Path(known["voxmill.data"]),
                origin=known["remote.origin.url"],
                remote=known["voxmill.remote"],
                main_branch=known["voxmill.main"],
                access=RemoteAccess.of_clone(folder),
            )
        except KeyError as error:
            raise UsageError(
                f"{folder} is no run's clone: its git configuration has no {error.args[0]}. "
                f"`voxmill runs` lists the runs."
            ) from error

    def settings(self) -> dict[str, str]:
        """What a run's clone keeps in its git configuration, by key."""
        return {
            PROJECT_KEY: str(self.root),
            "voxmill.home": str(self.home),
            "voxmill.data": str(self.data),
            "voxmill.remote": self.remote,
            "voxmill.main": self.main_branch,
        }

    @property
    def runs(self) -> Path:
        """Folder of all runs: `<recipe>/<id>`."""
        return self.home / "runs"

    @property
    def cache(self) -> Path:
        """Folder of what can be made again."""
        return self.home / "cache"

    @property
    def local_origin(self) -> Path | None:
        """The origin's work tree where it is a checkout on this machine; None for a bare one."""
        folder = Path(self.origin)
        return folder if (folder / ".git").exists() else None

    def recipe_file(self, recipe: str) -> Path:
        """The recipe's file.

        Raises:
            UsageError: There is none; those that there are stand in the message.
        """
        file = self.root / "recipes" / f"{recipe}.yaml"
        if not file.is_file():
            there = ", ".join(sorted(path.stem for path in file.parent.glob("*.yaml"))) or "none"
            raise UsageError(f"Recipe {recipe!r}: no file {file}. Recipes there are: {there}.")
        return file


def _checkout(start: Path) -> Path:
    git = Git(start.absolute())
    try:
        if git.run("rev-parse", "--is-bare-repository") == "true":
            raise UsageError(
                f"{start} is a bare git repository: it has no recipes to run. Clone it, and start "
                f"there (VOXMILL_GIT={start} makes it the place that runs are pushed to)."
            )
        root = Path(git.run("rev-parse", "--show-toplevel"))
    except GitFailed as error:
        if "not a git repository" not in error.stderr:
            raise
        raise UsageError(
            f"{start} is not in a git checkout. Go to the project's folder, or make one: "
            f"git init && git add . && git commit."
        ) from error
    if git.succeeds("config", "--local", PROJECT_KEY):
        root = Path(git.run("config", "--local", PROJECT_KEY))
    if not (root / "dvc.yaml").is_file():
        raise UsageError(f"{root} has no dvc.yaml: this checkout is no voxmill project.")
    if not Git(root).succeeds("rev-parse", "--verify", "--quiet", "HEAD^{commit}"):
        raise UsageError(
            f"{root} has no commit yet, so a run has nothing to start from. "
            f"Make the first one: git add . && git commit."
        )
    return root


def _main_branch(root: Path, origin: str) -> str:
    """`main` or `master` where the origin has one, else the branch that its HEAD names."""
    listed = Git(root).run("ls-remote", "--symref", origin, "HEAD", "refs/heads/ma*")
    heads = {line.split("refs/heads/")[-1] for line in listed.splitlines() if "ref: " not in line}
    for name in ("main", "master"):
        if name in heads:
            return name
    for line in listed.splitlines():
        if line.startswith("ref: refs/heads/"):
            return line.removeprefix("ref: refs/heads/").split("\t")[0]
    raise UsageError(
        f"The git origin {origin} has neither a branch `main` nor a HEAD on a branch (a detached "
        f"HEAD?), so memory has nowhere to go. Check out a branch there: git switch -c main."
    )
