"""Uncommitted changes of the project's checkout: which travel with a run, which are refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from voxmill.errors import UsageError
from voxmill.runs.git import Git

# Another recipe's file and memory (united line by line) decide nothing about what a run computes.
_HARMLESS = ("recipes/", "memory/")
_GENERATED = "pipeline.json"  # from dvc.yaml and the recipes, whose edits travel anyway


@dataclass(frozen=True, kw_only=True)
class Dirt:
    """Paths with uncommitted changes, from the project's root."""

    code: tuple[str, ...] = ()
    """Tracked files that may change what a stage computes."""
    recipe: tuple[str, ...] = ()
    """The recipe's own file, when it differs from the commit or is not in it yet."""
    generated: tuple[str, ...] = ()
    """pipeline.json, when it differs from the commit: it shows the recipe's values."""

    @property
    def travelling(self) -> tuple[str, ...]:
        """Everything uncommitted that a run takes along."""
        return (*self.code, *self.recipe, *self.generated)


def find(root: Path, recipe: str) -> Dirt:
    """What is uncommitted in the checkout and matters to a run of this recipe.

    Untracked files do not count, the recipe's own file excepted: that is how a new recipe begins.
    """
    listed = Git(root).run("status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=no")
    changed = [entry[3:] for entry in listed.split("\0") if entry]
    mine = f"recipes/{recipe}.yaml"
    travels = mine in changed or not Git(root).succeeds("cat-file", "-e", f"HEAD:{mine}")
    return Dirt(
        code=tuple(
            path for path in sorted(changed) if not path.startswith((*_HARMLESS, _GENERATED))
        ),
        recipe=(mine,) if travels else (),
        generated=(_GENERATED,) if _GENERATED in changed else (),
    )


def refusal(files: Sequence[str]) -> str:
    """The message about code that nobody committed."""
    listed = "".join(f"\n  {path}" for path in files)
    return (
        f"{len(files)} tracked {'file has' if len(files) == 1 else 'files have'} uncommitted "
        f"changes, so the run could not be repeated from its commit:{listed}\n"
        f"Commit them (git commit), or take them along in the run's first commit: --allow-dirty."
    )


def carry_over(root: Path, clone: Path, files: Sequence[str]) -> None:
    """Applies the checkout's uncommitted changes of these files to a clone of the same commit.

    Raises:
        UsageError: A file is in the middle of a merge.
    """
    if not files:
        return
    patch = Git(root).output("diff", "--binary", "--no-renames", "HEAD", "--", *files)
    if b"<<<<<<< " in patch and b">>>>>>> " in patch:
        raise UsageError(
            f"Uncommitted files in {root} hold merge conflicts: {', '.join(files)}. Solve them."
        )
    Git(clone).run("apply", "--binary", "--whitespace=nowarn", "-", stdin=patch)
