"""The stage probe: can this model learn this data at all?"""

from __future__ import annotations

from voxmill.stages.stage import StageContext, StageOutcome


class ProbeStage:
    """Applies to no recipe: training itself shows whether the model learns."""

    name = "probe"
    version = 1

    def run(self, context: StageContext) -> StageOutcome:
        """Says why there is nothing to do."""
        why = (
            f"The family {context.recipe.family} offers no probe; the check train.learned tells "
            "after training whether the model learned from this data."
        )
        return StageOutcome(applicable=False, figures={"why": why})
