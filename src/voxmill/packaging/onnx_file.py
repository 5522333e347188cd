"""ONNX files of a model: fp32 as traced, and int8 by dynamic quantisation."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voxmill.families.family import OnnxGraph, Samples

logger = logging.getLogger(__name__)

_OPSET = 17
# Attention's own products (two activations) and the subsampling convolutions stay fp32: quantised
# convolutions (ConvInteger) made the whole model 40 % slower than quantised products alone.
_QUANTISED = ["MatMul"]


def write_fp32(
    graph: OnnxGraph, file: Path, *, batch: list[Samples], metadata: Mapping[str, str]
) -> None:
    """Traces a graph into an ONNX file with free batch and time axes.

    Uses the exporter that traces: the newer one (`dynamo=True`) cannot follow the conformer's
    relative attention over a free time axis.

    Args:
        graph: What to trace; its module must be in eval mode.
        file: Where to write.
        batch: Two or more utterances of unequal length to trace with.
        metadata: Written into the file's metadata.
    """
    import torch

    file.parent.mkdir(parents=True, exist_ok=True)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracer warnings: parity at several lengths is the proof
        torch.onnx.export(
            graph.module.eval(),
            graph.example(batch),
            str(file),
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_axes={name: dict(axes) for name, axes in graph.dynamic_axes.items()},
            opset_version=_OPSET,
            dynamo=False,
        )
    _describe(file, metadata)


def write_int8(fp32: Path, file: Path, *, metadata: Mapping[str, str]) -> None:
    """Quantises the weights of an ONNX file to 8 bits; activations are quantised as they come.

    Weights take 7 of their 8 bits, one scale for each output channel: on CPUs without VNNI the
    products of full 8 bits overflow, and the seventh bit costs nothing that frames would show.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _quiet_root_logger():
        quantize_dynamic(
            str(fp32),
            str(file),
            op_types_to_quantize=_QUANTISED,
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
        )
    _describe(file, metadata)


def open_session(file: Path, *, threads: int = 1) -> Any:
    """An onnxruntime session on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def _describe(file: Path, metadata: Mapping[str, str]) -> None:
    import onnx

    model = onnx.load(str(file))
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, dict(sorted(metadata.items())))
    onnx.checker.check_model(model)
    onnx.save(model, str(file))


class _quiet_root_logger:  # noqa: N801 - reads as a verb in a `with`
    """The quantiser advises on the root logger to pre-process; shapes are free on purpose."""

    def __enter__(self) -> None:
        self._level = logging.getLogger().level
        logging.getLogger().setLevel(logging.ERROR)

    def __exit__(self, *_: object) -> None:
        logging.getLogger().setLevel(self._level)
