"""The stage audit: reads every recording once and says what is sound and what is not."""

from __future__ import annotations

from voxmill.corpus.checks import examine, examine_array, without_duplicates
from voxmill.corpus.config import AuditConfig
from voxmill.corpus.features import read_shape
from voxmill.corpus.inventory import Inventory
from voxmill.corpus.manifest import read_lines, write_json, write_lines
from voxmill.corpus.ordered_map import ordered_map
from voxmill.corpus.statistics import CorpusStatistics, statistics
from voxmill.corpus.utterance import AuditedUtterance, RejectedUtterance, SourceUtterance
from voxmill.stages.stage import Check, StageContext, StageOutcome
from voxmill.stages.stopping import until_stopped


class AuditStage:
    """Writes `accepted.jsonl`, `rejected.jsonl` and `statistics.json`."""

    name = "audit"
    version = 1

    def run(self, context: StageContext) -> StageOutcome:
        """Fills `context.out`.

        Raises:
            DataError: Ingest's output is damaged.
            CheckpointedAndLeft: Asked to stop.
        """
        ingest, config = context.input("ingest"), context.recipe.audit
        findings = _findings(context)
        accepted = [one for one in findings if isinstance(one, AuditedUtterance)]
        problems = read_lines(ingest / "problems.jsonl", RejectedUtterance)
        rejected = sorted(
            [*problems, *(one for one in findings if isinstance(one, RejectedUtterance))],
            key=lambda one: (one.id, one.reason, one.detail),
        )
        found = statistics(accepted, rejected)
        write_lines(context.out / "accepted.jsonl", accepted)
        write_lines(context.out / "rejected.jsonl", rejected)
        write_json(context.out / "statistics.json", found.model_dump(mode="json"))
        checks = (_rejected_share(found, config), _accepted(found, config))
        return StageOutcome(
            checks=checks,
            figures={
                **found.accepted.model_dump(),
                "speakers": len(found.by_speaker),
                "rejected": found.rejected,
                "reasons": dict(found.reasons),
            },
        )


def _findings(context: StageContext) -> list[AuditedUtterance | RejectedUtterance]:
    ingest, config = context.input("ingest"), context.recipe.audit
    utterances = read_lines(ingest / "utterances.jsonl", SourceUtterance)
    utterances.sort(key=lambda one: one.id)
    shape = read_shape(ingest)
    with Inventory(ingest) as inventory:

        def look(one: SourceUtterance) -> AuditedUtterance | RejectedUtterance:
            content = inventory.read(one.audio)
            if shape is None:
                return examine(one, content, config)
            return examine_array(one, content, config, shape)

        examined = ordered_map(look, utterances)
        return list(
            without_duplicates(
                until_stopped(examined, context, stage=AuditStage.name),
                reason="duplicate_audio" if shape is None else "duplicate_array",
            )
        )


def _rejected_share(found: CorpusStatistics, config: AuditConfig) -> Check:
    total = found.rejected + found.accepted.utterances
    share = found.rejected / total if total else 0.0
    most = ", ".join(f"{count} {reason}" for reason, count in found.reasons.items())
    return Check(
        name="audit.rejected_share",
        value=round(share, 6),
        limit=f"at most {config.max_rejected_share} of {total} utterances",
        passed=share <= config.max_rejected_share,
        help=f"rejected.jsonl has the reason of each ({most or 'none'}); mend the source, or raise "
        "audit.max_rejected_share if the loss is meant.",
    )


def _accepted(found: CorpusStatistics, config: AuditConfig) -> Check:
    return Check(
        name="audit.accepted",
        value=found.accepted.utterances,
        limit=f"at least {config.min_accepted} utterances",
        passed=found.accepted.utterances >= config.min_accepted,
        help="Add recordings, or mend those in rejected.jsonl.",
    )
