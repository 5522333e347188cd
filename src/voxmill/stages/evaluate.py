"""The stage evaluate: measures the packaged artefacts, not the trainer's memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from voxmill.corpus.feature_shards import open_shards
from voxmill.corpus.features import read_settings
from voxmill.corpus.manifest import write_text
from voxmill.corpus.utterance import PreparedUtterance
from voxmill.families.catalogue import load_family
from voxmill.families.family import Family, Samples
from voxmill.stages.evaluation import selection
from voxmill.stages.evaluation.curves import read_series
from voxmill.stages.evaluation.examples import worst_examples
from voxmill.stages.evaluation.gates import gate_checks
from voxmill.stages.evaluation.goals import Goal, goals_of
from voxmill.stages.evaluation.limits import refuse_unknown_sets
from voxmill.stages.evaluation.lineage import read_origins
from voxmill.stages.evaluation.measurement import Bench, measure
from voxmill.stages.evaluation.page import ReportPage, render
from voxmill.stages.evaluation.progress import Progress, fingerprint
from voxmill.stages.evaluation.recording import record_goals, record_results
from voxmill.stages.evaluation.results import Results
from voxmill.stages.evaluation.tables import release_figures, write_tables
from voxmill.stages.sample_rate import sample_rate_of
from voxmill.stages.stage import Check, StageContext, StageOutcome

_EXAMPLES = 30
_AUDIO_BYTES = 4_000_000
"""Of recordings on the page; with them it stays under 5 MB, which mail and chat still take."""


class EvaluateStage:
    """Transcribes every test utterance with every artefact; writes figures, errors and a page."""

    name = "evaluate"
    version = 2

    def __init__(self, families: Callable[[str], Family] = load_family) -> None:
        self._families = families

    def run(self, context: StageContext) -> StageOutcome:
        """Fills `context.out` with metrics.json, hypotheses.jsonl, errors.jsonl and index.html.

        Raises:
            DataError: There is no test utterance, or an artefact is missing.
            UsageError: Gates or goals are set for a test set that is not there.
            CheckpointedAndLeft: A stop was requested; the next try goes on from there.
        """
        samples = open_shards(context.input("prepare")).samples
        results = self._measure(context, samples)
        record_results(context.recorder, results)
        config = context.recipe.evaluate
        checks, goals = gate_checks(config.gates, results), goals_of(config.goals, results)
        record_goals(context.recorder, goals)
        write_tables(context.out, results, goals)
        page = _page(context, results, checks, goals, samples)
        write_text(context.out / "index.html", render(page))
        return StageOutcome(checks=checks, figures=release_figures(results, goals))

    def _measure(
        self, context: StageContext, samples: Callable[[PreparedUtterance], Samples]
    ) -> Results:
        recipe, config = context.recipe, context.recipe.evaluate
        prepared, packaged = context.input("prepare"), context.input("package")
        artefacts = selection.read_artefacts(packaged, config.artefacts)
        test_sets = selection.read_test_sets(prepared, max_utterances=config.max_utterances)
        refuse_unknown_sets(config, test_sets)
        bench = Bench(
            family=self._families(recipe.family),
            decoder=selection.decoder_name(config),
            samples=samples,
            sample_rate_hz=sample_rate_of(recipe.model),
            clock=context.clock,
            stop_requested=context.stop_requested,
            progress=_progress(context.work, prepared, packaged, selection.decoder_name(config)),
            bootstrap_samples=config.bootstrap_samples,
        )
        measurements = measure(bench, artefacts, test_sets)
        bench.progress.clear()
        return Results(measurements=measurements, main_artefact=config.main_artefact)


def _progress(work: Path, prepared: Path, packaged: Path, decoder: str) -> Progress:
    reports = [prepared / "report.json", packaged / "report.json"]
    return Progress(
        work / "evaluate" / "progress.jsonl", fingerprint=fingerprint(reports, decoder=decoder)
    )


def _page(
    context: StageContext,
    results: Results,
    checks: tuple[Check, ...],
    goals: tuple[Goal, ...],
    samples: Callable[[PreparedUtterance], Samples],
) -> ReportPage:
    inputs = {name: context.input(name) for name in ("prepare", "train", "package")}
    audible = read_settings(inputs["prepare"]) is None
    examples = worst_examples(
        results.main,
        count=_EXAMPLES,
        samples=samples if audible else None,
        sample_rate_hz=sample_rate_of(context.recipe.model),
        budget_bytes=_AUDIO_BYTES,
    )
    return ReportPage(
        recipe=context.recipe,
        results=results,
        checks=checks,
        goals=goals,
        series=read_series(inputs["train"] / "curves.jsonl"),
        examples=examples,
        origins=read_origins(inputs),
    )
