"""What upstream's transforms do to the place of a picture's pixels.

mmcv 2.1 and mmsegmentation 1.2.2 keep the last resize and the last flip of a sample in mind, and
forget the rest. This can go with a release that records every step.
"""

from enum import Enum


class Effect(Enum):
    """What a transform does to the place of pixels."""

    LOADS = "loads another picture"
    KEEPS = "keeps every pixel in its place"
    RESIZES = "resizes"
    PADS = "pads to the right and below"
    FLIPS = "flips, or does not, and says so"


_KNOWN = {
    Effect.LOADS: """LoadImageFromFile LoadImageFromNDArray LoadSingleRSImageFromFile
        LoadMultipleRSImageFromFile InferencerLoader""",
    Effect.KEEPS: """Normalize RandomGrayscale LoadAnnotations LoadDepthAnnotation PackSegInputs
        Rerange CLAHE RGB2Gray AdjustGamma SegRescale PhotoMetricDistortion GenerateEdge
        ConcatCDInput ToTensor ImageToTensor""",
    Effect.RESIZES: """Resize RandomResize RandomChoiceResize ResizeToMultiple
        ResizeShortestEdge""",
    Effect.PADS: "Pad",
    Effect.FLIPS: "RandomFlip",
}
_EFFECTS = {name: effect for effect, names in _KNOWN.items() for name in names.split()}

#: Transforms that no prediction can undo: by name, what they do.
NOT_UNDONE = {
    "CenterCrop": "cuts a piece out of the picture",
    "RandomCrop": "cuts a piece out of the picture",
    "BioMedical3DRandomCrop": "cuts a piece out of the picture",
    "RandomRotate": "turns the picture",
    "RandomRotFlip": "turns the picture",
    "RandomCutOut": "covers parts of the picture",
    "RandomMosaic": "puts several pictures together",
    "RandomDepthMix": "covers parts of the picture",
    "MultiScaleFlipAug": "makes views whose flips and sizes are not recorded; use TestTimeAug",
}


def effect_of(transform: object) -> Effect | None:
    """Say what a transform of mmcv or mmsegmentation does to the place of pixels.

    None for any other, and for one of theirs that cannot be undone. A class derived from one of
    theirs is another, also one that is given to them for the resizing.
    """
    kind, inner = type(transform), getattr(transform, "resize", None)
    if not _is_upstream(kind) or (hasattr(inner, "transform") and effect_of(inner) is None):
        return None
    return _EFFECTS.get(kind.__name__)


def not_undone(transform: object) -> str | None:
    """Say what cannot be undone in a transform of mmcv or mmsegmentation, or derived from one."""
    for kind in type(transform).__mro__:
        if _is_upstream(kind) and kind.__name__ in NOT_UNDONE:
            return NOT_UNDONE[kind.__name__]
    return None


def _is_upstream(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in ("mmcv", "mmengine", "mmseg")
