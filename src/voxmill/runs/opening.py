"""Opening a run: a clone with its own branch, its first commit says all that makes it special."""

from __future__ import annotations

import fcntl
import getpass
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import voxmill
from voxmill.errors import UsageError
from voxmill.runs import dirt, memory
from voxmill.runs.clone_settings import write_clone_settings
from voxmill.runs.disk import disk_full, is_disk_full
from voxmill.runs.git import Git, commit_all
from voxmill.runs.lister import Lister, list_source
from voxmill.runs.listing import write_listing
from voxmill.runs.overrides import write_overrides
from voxmill.runs.project import Project
from voxmill.runs.remote_access import RemoteAccess, write_committed, write_local
from voxmill.runs.remote_reach import reach
from voxmill.runs.run import RUN_FILE, Run, RunRecord, check_id, slug
from voxmill.runs.starting_point import check_starting_point


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What a person, or Airflow, asks of a new run."""

    run_id: str | None = None
    """None: from `airflow_run_id`, else from the time."""
    overrides: Mapping[str, object] = field(default_factory=dict)
    """Recipe fields by `section.key`."""
    airflow_run_id: str | None = None
    allow_dirty: bool = False
    """Take uncommitted code along instead of refusing it."""


def open_run(
    project: Project,
    recipe: str,
    options: RunOptions | None = None,
    lister: Lister = list_source,
) -> Run:
    """Opens a run, or opens an existing one again; safe to repeat, safe to kill.

    The clone is built in a temporary folder and renamed when its first commit stands, so there is
    a whole run or none. A run that this machine lacks but the origin has is cloned from there.

    Args:
        project: The project.
        recipe: Name of the recipe; uncommitted edits of its file travel with the run.
        options: Id, overrides and what to do about uncommitted code.
        lister: Validates the recipe and lists its source.

    Raises:
        UsageError: The recipe, an override or the state of the checkout is wrong, the run is
            there already with other overrides, or it has to reach Weights & Biases and could not.
        DataError: The source, or a base model's folder or file, is not there.
        OriginUnreachable: The origin does not answer.
        RemoteRefused: The DVC remote's host key, login or bucket is wrong.
        StorageFailed: The DVC remote does not answer.
        EngineMissing: The disk is full, or git or the `voxmill` command is missing.
    """
    options = options or RunOptions()
    run_id = check_id(options.run_id or slug(options.airflow_run_id or "") or _from_the_time())
    run = Run(recipe, run_id, project.runs / recipe / run_id)
    _refuse_without_wandb(project, run)
    try:
        with _alone(run):
            if not (run.folder / RUN_FILE).is_file():
                _make(project, run, options, lister)
            elif project.access != RemoteAccess():
                write_local(run.folder, project.access)
    except OSError as error:
        if is_disk_full(error):
            raise disk_full(project.root, str(error)) from error
        raise
    _refuse_other_overrides(run, options)
    return run


def push_branch(run: Run) -> None:
    """Pushes the run's branch to the origin; nobody but this run writes it."""
    Git(run.folder).run("push", "--quiet", "origin", f"HEAD:refs/heads/{run.branch}")


def _make(project: Project, run: Run, options: RunOptions, lister: Lister) -> None:
    reach(project.remote, project.access)
    with _building_site(run) as site:
        if not _clone_from_origin(project, run, site):
            project.recipe_file(run.recipe)
            dirty = dirt.find(project.root, run.recipe)
            if dirty.code and not options.allow_dirty:
                raise UsageError(dirt.refusal(dirty.code))
            _clone(project, run, site)
            write_clone_settings(project, site)
            draft = Run(run.recipe, run.id, site)
            _fill(project, draft, options, dirty)
            write_listing(project, draft.recipe_file, draft.memory / memory.LISTING, lister)
            check_starting_point(project, draft.recipe_file)
            _commit(draft)
        else:
            write_clone_settings(project, site)
        write_local(site, project.access)
        site.rename(run.folder)
    push_branch(run)


def _clone(project: Project, run: Run, site: Path) -> None:
    """Clones the checkout, which has the commit even where the origin does not have it yet."""
    head = Git(project.root).run("rev-parse", "HEAD")
    Git(site.parent).run("clone", "--quiet", "--no-checkout", str(project.root), str(site))
    git = Git(site)
    git.run("remote", "set-url", "origin", project.origin)
    git.run("checkout", "--quiet", "--no-track", "-b", run.branch, head)


def _refuse_without_wandb(project: Project, run: Run) -> None:
    """For new runs alone: who carries out a stage of an open one needs no key.

    Before the folder of runs and the remote are touched, so that nothing stays behind.
    """
    if not project.wandb.problem:  # the origin is not asked in vain
        return
    if not (run.folder / RUN_FILE).is_file() and not _is_on_origin(project, run):
        project.wandb.check()


def _is_on_origin(project: Project, run: Run) -> bool:
    ref = f"refs/heads/{run.branch}"
    return bool(Git(project.root).run("ls-remote", project.origin, ref))


def _clone_from_origin(project: Project, run: Run, site: Path) -> bool:
    if not _is_on_origin(project, run):
        return False
    branch = ("--branch", run.branch)
    Git(site.parent).run("clone", "--quiet", *branch, project.origin, str(site))
    return True


def _fill(project: Project, run: Run, options: RunOptions, dirty: dirt.Dirt) -> None:
    from voxmill.pipeline.dvcfile import narrow

    record = RunRecord(
        recipe=run.recipe,
        id=run.id,
        airflow_run_id=options.airflow_run_id,
        base_commit=Git(run.folder).run("rev-parse", "HEAD"),
        voxmill=voxmill.__version__,
        overrides=dict(options.overrides),
        dirty=dirty.travelling,
        created=datetime.now(UTC).isoformat(timespec="milliseconds"),
        user=user_name(project.root),
    )
    dirt.carry_over(project.root, run.folder, (*dirty.code, *dirty.generated))
    run.recipe_file.parent.mkdir(exist_ok=True)
    shutil.copyfile(project.recipe_file(run.recipe), run.recipe_file)
    write_overrides(run.recipe_file, options.overrides)
    narrow(run.folder / "dvc.yaml", run.recipe)
    # Results that a person made by hand may be in no cache of ours; the run-cache finds the others.
    (run.folder / "dvc.lock").unlink(missing_ok=True)
    _write_remote(project, run.folder)
    _seed_memory(project, run)
    record.write(run.folder)


def _commit(run: Run) -> None:
    git = Git(run.folder)
    git.run("add", "--all")
    commit_all(git, (), _first_message(run, RunRecord.read(run.folder)))


def _seed_memory(project: Project, run: Run) -> None:
    """What the commit has, then what the main branch and the checkout know beyond it."""
    run.memory.mkdir(parents=True, exist_ok=True)
    for name in memory.LINES:
        mine = run.memory / name
        known = mine.read_bytes() if mine.exists() else b""
        known = memory.union(memory.read_main(project, run.recipe, name) or b"", known)
        beside = project.root / memory.path_of(run.recipe, name)
        mine.write_bytes(memory.union(known, beside.read_bytes() if beside.exists() else b""))


def _write_remote(project: Project, folder: Path) -> None:
    (folder / ".dvc").mkdir(exist_ok=True)
    if not (folder / ".dvc" / ".gitignore").exists():
        (folder / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    write_committed(folder, project.remote, project.access)


@contextmanager
def _alone(run: Run) -> Iterator[None]:
    """One opener at a time: two that ask for the same id get the same run."""
    run.folder.parent.mkdir(parents=True, exist_ok=True)
    with (run.folder.parent / f".{run.id}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _building_site(run: Run) -> Iterator[Path]:
    """A fresh folder beside the run; what a killed opener left there goes first."""
    prefix = f".{run.id}.opening-"
    for left in run.folder.parent.glob(f"{prefix}*"):
        shutil.rmtree(left, ignore_errors=True)
    site = Path(tempfile.mkdtemp(prefix=prefix, dir=run.folder.parent))
    site.chmod(0o755)
    try:
        yield site
    finally:
        shutil.rmtree(site, ignore_errors=True)


def _refuse_other_overrides(run: Run, options: RunOptions) -> None:
    there = dict(RunRecord.read(run.folder).overrides)
    if options.overrides and dict(options.overrides) != there:
        raise UsageError(
            f"Run {run.recipe}/{run.id} is there already, with other overrides: {there or 'none'}; "
            f"asked for: {dict(options.overrides)}. Take another --run-id, or leave the overrides "
            f"out to go on with it."
        )


def user_name(folder: Path) -> str:
    """Who works here: as git knows them, else the account's name."""
    git = Git(folder)
    if git.succeeds("config", "user.name"):
        return f"{git.run('config', 'user.name')} <{git.run('config', '--get', 'user.email')}>"
    return os.environ.get("GIT_AUTHOR_NAME") or getpass.getuser()


def _from_the_time() -> str:
    return datetime.now(UTC).strftime("%Y%m%d-%H%M%S")


def _first_message(run: Run, record: RunRecord) -> str:
    lines = [f"Open run {run.name}", ""]
    lines += [f"{key} = {value}" for key, value in record.overrides.items()]
    lines += [f"Uncommitted: {path}" for path in record.dirty]
    return "\n".join(lines).strip() + "\n"
