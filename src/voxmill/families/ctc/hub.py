"""What a Hugging Face folder holds beside weights: processor, code where it needs any, summary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import (
    ParakeetProcessor,
    ParakeetTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Processor,
    WhisperFeatureExtractor,
)

from voxmill.families.ctc import modeling_voxformer
from voxmill.families.ctc.config import ConformerEncoder, CtcModelConfig, FeatureInput
from voxmill.families.ctc.model import feature_extractor
from voxmill.families.ctc.network import Network
from voxmill.signal.mel import MelSettings
from voxmill.signal.standardise import FeatureSettings
from voxmill.signal.waveform import WaveformSettings
from voxmill.text.tokenizer import BLANK

_ARCHITECTURES = {
    "hubert": "HuBERT",
    "wav2vec2": "wav2vec 2.0",
    "wavlm": "WavLM",
    "whisper": "Whisper",
}


def code_of(module: Any) -> Path | None:
    """The file that the folder has to carry, because transformers has no class for this network."""
    if isinstance(module, modeling_voxformer.VoxformerForCTC):
        return Path(modeling_voxformer.__file__)
    return None


def processor_of(network: Network, tokenizer: Path, model: CtcModelConfig) -> Any:
    """Front end and tokenizer as transformers packages them."""
    text = ParakeetTokenizer.from_pretrained(str(tokenizer))
    settings = network.hearing.frontend
    if isinstance(settings, FeatureSettings):
        return text  # transformers has no extractor for them
    if isinstance(settings, MelSettings) and settings.normalise != "loudest":
        processor = ParakeetProcessor(
            feature_extractor(settings), text, blank_token=BLANK, decoder_type="ctc"
        )
        processor.audio_kwargs = {
            **processor.audio_kwargs,
            "sampling_rate": model.sample_rate_hz,
            "subsampling_factor": network.hearing.subsampling,
        }
        return processor
    return Wav2Vec2Processor(extractor_of(settings), text)


def extractor_of(settings: MelSettings | WaveformSettings) -> Any:
    """The front end of a pretrained encoder."""
    if isinstance(settings, WaveformSettings):
        return Wav2Vec2FeatureExtractor(
            sampling_rate=settings.sample_rate_hz,
            do_normalize=settings.zero_mean_unit_variance,
            return_attention_mask=True,
        )
    return WhisperFeatureExtractor(feature_size=settings.mel_bins)


def summary_of(module: Any, model: CtcModelConfig, *, tokens: int) -> str:
    """The model in one sentence, for its card."""
    millions = sum(p.numel() for p in module.parameters()) / 1e6
    kind = {"character": "characters", "bpe": "BPE pieces", "word": "words"}[model.vocabulary.kind]
    encoder = model.encoder
    written = f"{tokens} tokens ({kind}, blank included)."
    if isinstance(encoder, ConformerEncoder):
        heard = f"{model.sample_rate_hz} Hz audio"
        if isinstance(model.input, FeatureInput):
            heard = f"features of {model.input.dimensions} dimensions"
        return (
            f"A Fast Conformer with a CTC head, trained from scratch: {encoder.layers} layers of "
            f"width {encoder.d_model}, {millions:.2f} million parameters, {heard}, "
            f"{1000 * model.frame_seconds:g} ms a frame, {written}"
        )
    blocks = ""
    if encoder.blocks:
        layers = encoder.blocks * encoder.layers_per_block
        blocks = f", {layers} conformer layers of width {encoder.d_model}"
    heads = "a CTC head"
    if model.ctc_weight < 1:
        heads += f" and an attention decoder (CTC weight {model.ctc_weight:g})"
    return (
        f"A pretrained {_ARCHITECTURES[encoder.architecture]} encoder{blocks} and {heads}: "
        f"{millions:.1f} million parameters, {model.sample_rate_hz} Hz audio, 20 ms a frame, "
        f"{written}"
    )
