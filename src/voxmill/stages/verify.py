"""The stage verify: do the transcripts say what is heard?"""

from __future__ import annotations

from voxmill.stages.stage import StageContext, StageOutcome


class VerifyStage:
    """Applies to no recipe: transcripts are taken as the source has them."""

    name = "verify"
    version = 1

    def run(self, context: StageContext) -> StageOutcome:
        """Says why there is nothing to do."""
        why = (
            f"The recipe {context.recipe.name} names no recogniser that could check its "
            "transcripts; they are used as the source has them."
        )
        return StageOutcome(applicable=False, figures={"why": why})
