"""`voxmill recipe check`, `voxmill recipe show` and `voxmill recipe new`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from voxmill.errors import UsageError

Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change a field; once for each."),
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(help="Look at recipes, or begin one.", rich_markup_mode=None)
    group.command()(check)
    group.command()(show)
    group.command()(new)
    app.add_typer(group, name="recipe")


def check(
    recipes: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RECIPE]...", help="Names or files; all in recipes/ by default."),
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Reads recipes and reports every mistake at once."""
    from voxmill.recipe.reading import RECIPES, find_recipe, read_recipe

    names = recipes or sorted(str(path) for path in RECIPES.glob("*.yaml"))
    if not names:
        raise UsageError(f"No recipes in {RECIPES.absolute()}. Start in the project's folder.")
    complaints = []
    for name in names:
        try:
            recipe = read_recipe(find_recipe(name), overrides or ())
        except UsageError as error:
            complaints.append(str(error))
        else:
            typer.echo(f"{recipe.name}: {recipe.title} (family {recipe.family}). No mistakes.")
    if complaints:
        raise UsageError("\n".join(complaints))


def show(
    recipe: Annotated[str, typer.Argument(help="Name or file.")],
    overrides: Overrides = None,
) -> None:
    """Prints a recipe with every value that holds, defaults and overrides included, as YAML."""
    from voxmill.recipe.document import format_document
    from voxmill.recipe.form import recipe_values
    from voxmill.recipe.reading import find_recipe, read_recipe

    values = recipe_values(read_recipe(find_recipe(recipe), overrides or ()))
    name = values.pop("name")
    typer.echo(f"# {Path(name).name}, with defaults\n{format_document(values)}", nl=False)


def new(
    name: Annotated[str, typer.Argument(help="Of small letters, digits and dashes.")],
    like: Annotated[
        str, typer.Option("--from", metavar="RECIPE", help="The recipe to begin with.")
    ] = "digits",
) -> None:
    """Begins a recipe as a copy of another one, with all that DVC and Airflow need to know of it.

    Writes recipes/NAME.yaml, memory/NAME/, a line for each stage of dvc.yaml, and the generated
    files. Nothing is committed.
    """
    from voxmill.cli.graph import generated
    from voxmill.pipeline.dvcfile import DVC_FILE, widen
    from voxmill.recipe.reading import RECIPES, find_recipe, read_recipe
    from voxmill.runs.memory import FILES, LISTING

    like_file, file = find_recipe(like), RECIPES / f"{name}.yaml"
    read_recipe(like_file)
    _refuse_name(name, file)
    root, memory = Path.cwd(), Path("memory") / name
    widen(root / DVC_FILE, name, like_file.stem)  # first: it refuses a copy that DVC does not know
    memory.mkdir(parents=True)
    for entry in FILES:
        (memory / entry).write_text("{}\n" if entry == LISTING else "", "utf-8")
    file.write_text(like_file.read_text("utf-8"), "utf-8")
    texts = generated(root)
    for written, text in texts.items():
        (root / written).write_text(text, "utf-8")
    changed = [str(file), str(memory), DVC_FILE, *texts]
    typer.echo(f"Begun: {', '.join(changed)}")
    typer.echo(f"next    edit {file}, then")
    typer.echo(f"        voxmill recipe check {name} && voxmill graph")
    typer.echo(f"        git add {' '.join(changed)} && git commit -m 'Add the recipe {name}'")
    typer.echo(f"        voxmill run {name}")


def _refuse_name(name: str, file: Path) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
        raise UsageError(
            f"Recipe {name!r}: expected a name of small letters, digits and dashes, such as "
            "my-digits; no path and no ending."
        )
    for there in (file, Path("memory") / name):
        if there.exists():
            raise UsageError(f"Recipe {name!r}: {there} is there already. Take another name.")
