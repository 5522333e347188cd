"""`voxmill stage`, which runs one stage, and `voxmill list-source`: what containers run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voxmill.errors import UsageError

if TYPE_CHECKING:
    from voxmill.stages.stage import Shard

RecipeFile = Annotated[Path, typer.Option("--recipe", help="Recipe file, <recipe>.yaml.")]
Inputs = Annotated[
    list[str] | None,
    typer.Option("--in", metavar="NAME=DIR", help="An input folder; once for each."),
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(stage)
    app.command("list-source")(list_source)


def stage(
    name: Annotated[str, typer.Argument(metavar="STAGE", help="Such as prepare or train.")],
    *,
    recipe: RecipeFile,
    out: Annotated[Path, typer.Option(help="Missing or empty folder that the stage fills.")],
    work: Annotated[Path, typer.Option(help="Folder for checkpoints, journal and caches.")],
    inputs: Inputs = None,
    shard: Annotated[
        str, typer.Option(metavar="I/N", help="This process's share: I from 0 of N.")
    ] = "0/1",
    attempt: Annotated[int, typer.Option(min=1, help="Counts the tries of this stage.")] = 1,
    gpus: Annotated[int, typer.Option(min=0, help="GPUs that it needs; tried out first.")] = 0,
    processes: Annotated[
        int | None,
        typer.Option(min=1, help="Processes that train together; by default one for each GPU."),
    ] = None,
) -> None:
    """Runs one stage of a recipe: input folders in, one output folder with report.json out.

    A failed check does not fail the command: read `verdict` in report.json.
    """
    from voxmill.recipe.reading import read_recipe
    from voxmill.stages.runner import StageOrder
    from voxmill.stages.start import start_stage

    _name_in_log(recipe.stem, name, attempt, work)
    order = StageOrder(
        stage=name,
        recipe=read_recipe(recipe),
        inputs=named_folders(inputs or []),
        out=out,
        work=work,
        shard=parse_shard(shard),
        attempt=attempt,
    )
    start_stage(order, gpus=gpus, processes=processes)


def list_source(
    recipe: RecipeFile,
    out: Annotated[Path, typer.Option(help="File to write, such as memory/digits/source.json.")],
    inputs: Inputs = None,
    cache: Annotated[
        Path | None, typer.Option(help="File that keeps hashes from listing to listing.")
    ] = None,
) -> None:
    """Checks a recipe and writes what its source holds now: path, size and hash of each file."""
    import tempfile

    from voxmill.corpus.manifest import write_text
    from voxmill.corpus.sources.catalogue import open_source
    from voxmill.recipe.reading import read_recipe

    with tempfile.TemporaryDirectory() as scratch:  # listing downloads nothing worth keeping
        config, folders = read_recipe(recipe).source, named_folders(inputs or [])
        source = open_source(config, folders, work=Path(scratch))
        write_text(out, source.listing(cache=cache).to_json())


def _name_in_log(recipe: str, stage: str, attempt: int, work: Path) -> None:
    """Says in every line what this process is; keeps the run's log where it is a run's."""
    from voxmill.observability.log_context import bind_log_context, log_fields

    run = log_fields().get("run")
    log = work / "logs" / f"{run}.log" if run else None
    bind_log_context(recipe=recipe, stage=stage, attempt=attempt, log=log)


def named_folders(texts: list[str]) -> dict[str, Path]:
    """Input folders by name, from `NAME=DIR` each.

    Raises:
        UsageError: One is not of that form, or a name stands twice.
    """
    folders: dict[str, Path] = {}
    for text in texts:
        name, sign, folder = text.partition("=")
        if not (name and sign and folder):
            raise UsageError(f"--in {text}: expected NAME=DIR, such as --in prepare=DIR.")
        if name in folders:
            raise UsageError(f"--in {name} stands twice: {folders[name]} and {folder}. Give one.")
        folders[name] = Path(folder)
    return folders


def parse_shard(text: str) -> Shard:
    """This process's share, from `I/N`.

    Raises:
        UsageError: It is not of that form, or I is not below N.
    """
    from voxmill.stages.stage import Shard

    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal()) or int(index) >= int(count):
        raise UsageError(f"--shard {text}: expected I/N with I from 0 to N - 1, such as 0/4.")
    return Shard(index=int(index), count=int(count))
