"""Whether a recipe's source holds what no run has had yet; brings git in."""

from __future__ import annotations

import hashlib

from voxmill.orchestration.worker import SourceNews
from voxmill.runs.lister import Lister
from voxmill.runs.listing import sync
from voxmill.runs.newest import newest_run
from voxmill.runs.project import Project


def source_news(project: Project, recipe: str, lister: Lister) -> SourceNews:
    """Lists the source into the main branch's memory and compares it with the newest run's.

    Args:
        project: The project.
        recipe: Name of the recipe.
        lister: Validates the recipe and lists its source.

    Raises:
        UsageError: There is no such recipe, or it is wrong.
        DataError: The source is missing or empty.
        VoxmillError: The main branch refuses the change.
        OriginUnreachable: The origin does not answer.
    """
    change = sync(project, recipe, lister)
    newest = newest_run(project, recipe)
    return SourceNews(
        content=hashlib.sha256(change.listing).hexdigest(),
        added=len(change.added),
        removed=len(change.removed),
        changed=len(change.changed),
        newest_run=newest.id if newest else "",
        newest_run_began=newest.began if newest else None,
        is_in_newest_run=newest is not None and newest.listing == change.listing,
    )
