"""ONNX files whose convolutions compute in 8 bits, calibrated on pictures."""

import logging
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from torch import Tensor

from mmseg_pointrend.export.packages import require

#: What is computed in 8 bits. The layers of the point head, which decide about the most uncertain
#: pixels, are no convolutions in a graph: they stay in single precision.
OPERATORS = ("Conv",)
#: What onnxruntime adds to the metadata.
_THEIRS = "onnx.infer"


def quantize(path: str | Path, pictures: Iterable[Tensor]) -> None:
    """Replace an ONNX file by one whose convolutions compute in 8 bits.

    Weights are rounded channel by channel, to signed integers; maps to unsigned ones, between the
    smallest and the largest value that was seen in the pictures. Graph and metadata stay otherwise
    as they are.

    Args:
        path: the file; with weights inside.
        pictures: each (1, C, H, W), as the graph takes them. Like those that it will be used for:
            what is beyond their values is cut off later.

    Raises:
        ImportError: without onnx and onnxruntime.
        ValueError: without a picture.
        OSError: if the file cannot be written.
    """
    onnx, quantization = require("onnx", "onnxruntime.quantization")

    class Pictures(quantization.CalibrationDataReader):
        """Hands pictures on."""

        def __init__(self) -> None:
            self.count, self._source = 0, self._inputs()

        def _inputs(self) -> Iterator[dict]:
            for one in pictures:
                self.count += 1
                yield dict(pictures=one.cpu().numpy())

        def get_next(self) -> dict | None:
            """Give the next one."""
            return next(self._source, None)

    path = Path(os.path.realpath(path))
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    reader, root = Pictures(), logging.getLogger()
    level = root.level
    try:
        aside.mkdir(parents=True)
        root.setLevel(logging.ERROR)  # what onnxruntime says of its steps
        quantization.quantize_static(
            path,
            aside / path.name,
            reader,
            op_types_to_quantize=list(OPERATORS),
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
        model = onnx.load(aside / path.name)
        texts = [entry for entry in model.metadata_props if entry.key != _THEIRS]
        del model.metadata_props[:]
        model.metadata_props.extend(texts)
        onnx.save(model, aside / path.name)
        os.replace(aside / path.name, path)
    except ValueError as error:
        if not reader.count:
            raise ValueError("pictures must be at least one, to be calibrated on") from error
        raise
    finally:
        root.setLevel(level)
        shutil.rmtree(aside, ignore_errors=True)
