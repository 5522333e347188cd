"""`voxmill recipe check` and `voxmill recipe show`."""

from __future__ import annotations

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
    group = typer.Typer(help="Look at recipes.", rich_markup_mode=None)
    group.command()(check)
    group.command()(show)
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
