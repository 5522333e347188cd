"""What belongs to this machine in a clone: git configuration, DVC's caches; never committed."""

from __future__ import annotations

from pathlib import Path

from voxmill.runs.git import Git
from voxmill.runs.project import Project


def write_clone_settings(project: Project, folder: Path) -> None:
    """Makes a clone one of the project's: its settings, its name, its caches."""
    from dvc.config import Config

    settings = project.settings() | _identity(project)
    for key, value in settings.items():
        Git(folder).run("config", key, value)
    (folder / ".dvc" / "config.local").unlink(missing_ok=True)
    with Config(str(folder / ".dvc")).edit("local") as config:
        config["cache"] = {"dir": str(project.cache / "dvc"), "type": "reflink,hardlink,copy"}
        config["core"] = {"analytics": "false", "site_cache_dir": str(project.cache / "dvc-site")}
    (project.cache / "dvc").mkdir(parents=True, exist_ok=True)
    if "://" not in project.remote:
        Path(project.remote).mkdir(parents=True, exist_ok=True)


def _identity(project: Project) -> dict[str, str]:
    """A name that is set for the project alone would not reach its clones."""
    git = Git(project.root)
    keys = [key for key in ("user.name", "user.email") if git.succeeds("config", "--local", key)]
    return {key: git.run("config", "--local", key) for key in keys}
