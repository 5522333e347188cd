"""Versions and champions: GTO's tags of the git origin.

GTO reads and writes the tags of a local repository. Its own push takes one tag at a time, so a
bare mirror of the origin's tags is kept in the cache: GTO works there, and both tags of a release
reach the origin in one push, or none does.
"""

from __future__ import annotations

import fcntl
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from voxmill.errors import UsageError, VoxmillError
from voxmill.runs.git import Git, GitFailed
from voxmill.runs.project import Project

CHAMPION = "champion"
_APPROVED = "Approved-by"
FIRST = (0, 1, 0)
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")

Version = tuple[int, int, int]


@dataclass(frozen=True)
class RegisteredVersion:
    """A version of a recipe and the commit that it names."""

    number: Version
    commit: str

    @property
    def name(self) -> str:
        """`v0.1.0`."""
        return version_name(self.number)


@dataclass(frozen=True)
class Registry:
    """The versions that the origin knows.

    Attributes:
        project: Whose origin.
        git: The mirror.
    """

    project: Project
    git: Git

    def versions(self, recipe: str) -> list[RegisteredVersion]:
        """The recipe's versions, the highest last."""
        listed = self.git.run(
            "for-each-ref",
            "--format=%(refname:strip=2) %(if)%(*objectname)%(then)%(*objectname)"
            "%(else)%(objectname)%(end)",
            "refs/tags/",
        )
        found = []
        for line in listed.splitlines():
            tag, commit = line.split(" ")
            name, _, version = tag.partition("@")
            if name == recipe and _VERSION.fullmatch(version):
                found.append(RegisteredVersion(parse_version(version), commit))
        return sorted(found, key=lambda each: each.number)

    def champion(self, recipe: str) -> RegisteredVersion | None:
        """The version that `champion` was assigned to last; None where there is none."""
        tags = self.git.run("tag", "--list", f"{recipe}#{CHAMPION}#*").split()
        if not tags:
            return None
        newest = max(tags, key=lambda tag: int(tag.rpartition("#")[2]))
        commit = self.git.run("rev-parse", f"{newest}^{{commit}}")
        return next((each for each in self.versions(recipe) if each.commit == commit), None)

    def figures(self, recipe: str, version: str) -> dict[str, Any]:
        """The figures that stand in a version's tag."""
        text = self.git.run("tag", "--list", "--format=%(contents:body)", f"{recipe}@{version}")
        try:
            found, _ = json.JSONDecoder().raw_decode(text)  # trailers stand behind
        except ValueError:  # a tag that somebody made by hand
            return {}
        return found if isinstance(found, dict) else {}

    def approved_by(self, recipe: str, version: str) -> str:
        """Who approved a version, from its tag; empty where nobody was asked."""
        form = f"--format=%(contents:trailers:key={_APPROVED},valueonly)"
        return self.git.run("tag", "--list", form, f"{recipe}@{version}").strip()

    def register(
        self,
        recipe: str,
        version: Version,
        commit: str,
        figures: Mapping[str, Any],
        *,
        approved_by: str = "",
    ) -> None:
        """Adds a version tag and makes it the champion, in the mirror.

        Args:
            recipe: Whose version.
            version: Its number.
            commit: What it names.
            figures: Stand in the tag's message.
            approved_by: Stands there as a trailer, unless it is empty.
        """
        import gto.api

        message = (
            f"Release {recipe} {version_name(version)}\n\n"
            f"{json.dumps(figures, indent=2, sort_keys=True)}"
        )
        if approved_by:
            message += f"\n\n{_APPROVED}: {approved_by}\n"

        with _gto_translated():
            gto.api.register(
                self.git.folder,
                recipe,
                ref=commit,
                version=version_name(version),
                message=message,
                **self._author(),
            )
        self.assign(recipe, version)

    def assign(self, recipe: str, version: Version) -> None:
        """Makes a version the champion, in the mirror."""
        import gto.api

        with _gto_translated():
            gto.api.assign(
                self.git.folder,
                recipe,
                CHAMPION,
                version=version_name(version),
                message=f"Make {recipe} {version_name(version)} the {CHAMPION}",
                force=True,  # a rollback and back again assigns the same version twice
                **self._author(),
            )

    def push_tags(self, before: set[str]) -> bool:
        """Pushes the tags that are new since `before`, all or none; False if another was faster."""
        new = sorted(self.tags() - before)
        refs = [f"refs/tags/{tag}" for tag in new]
        try:
            self.git.run("push", "--quiet", "--atomic", self.project.origin, *refs)
        except GitFailed as error:
            if "already exists" not in error.stderr and "atomic" not in error.stderr:
                raise
            return False
        return True

    def tags(self) -> set[str]:
        """Every tag of the mirror."""
        return set(self.git.run("tag", "--list").split())

    def refresh(self, branch: str | None = None) -> None:
        """Makes the mirror's tags those of the origin, and brings a branch."""
        refs = ["+refs/tags/*:refs/tags/*"]
        if branch is not None:
            refs.append(f"+refs/heads/{branch}:refs/heads/{branch}")
        self.git.run("fetch", "--quiet", "--prune", self.project.origin, *refs)

    def _author(self) -> dict[str, str]:
        git = Git(self.project.root)
        name, mail = git.run("var", "GIT_COMMITTER_IDENT").rsplit(">", 1)[0].split(" <", 1)
        return {"author": name, "author_email": mail}


@contextmanager
def open_registry(project: Project) -> Iterator[Registry]:
    """The registry, for one user at a time on this machine."""
    folder = project.cache / "registry.git"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "HEAD").is_file():
            Git(folder.parent).run("init", "--quiet", "--bare", str(folder))
        yield Registry(project, Git(folder))


def parse_version(text: str) -> Version:
    """A version from `v1.2.3` or `1.2.3`.

    Raises:
        UsageError: It is neither.
    """
    found = _VERSION.fullmatch(text)
    if found is None:
        raise UsageError(f"Version {text!r}: expected three numbers, such as v1.2.3.")
    major, minor, patch = (int(part) for part in found.groups())
    return major, minor, patch


def version_name(version: Version) -> str:
    """`v1.2.3`."""
    return "v{}.{}.{}".format(*version)


def next_version(known: list[RegisteredVersion]) -> Version:
    """The highest version with its patch number raised; v0.1.0 for the first."""
    if not known:
        return FIRST
    major, minor, patch = known[-1].number
    return major, minor, patch + 1


@contextmanager
def _gto_translated() -> Iterator[None]:
    from gto.exceptions import GTOException

    try:
        yield
    except GTOException as error:
        raise VoxmillError(f"GTO refuses: {error}") from error
