"""Pictures in, predictions out, for Python: files, folders, arrays, tensors, Pillow's images.

What `tools/predict.py` writes is what this gives: the same reading, batches and predictors.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from mmseg_pointrend.apis.configs import prepare_config
from mmseg_pointrend.apis.models import load_model
from mmseg_pointrend.apis.tasks import Files, task_of
from mmseg_pointrend.inference.instances import Objects
from mmseg_pointrend.inference.job import JobSettings
from mmseg_pointrend.inference.loading import batches
from mmseg_pointrend.inference.network import AS_IT_IS, NetworkSettings, prepare_network
from mmseg_pointrend.inference.pixels import Source
from mmseg_pointrend.inference.predictor import Details, Maps, Windows
from mmseg_pointrend.inference.reading import Read, Reader, test_pipeline
from mmseg_pointrend.inference.sources import Sources, each_picture, is_one_picture

#: Pictures that are read before they are put together by their sizes, in batches.
_READ_BATCHES = 4


class PointRendInferencer:
    """A config's model, ready to predict pictures.

    Pictures are read and predicted as in testing: by the config's test pipeline, whole or in the
    sliding windows of `test_cfg`. One inferencer may be shared by threads.

    Args:
        config: config file, or the name of a config of this project (`list_configs`).
        checkpoint: weights.
        device: where the model runs; by default a GPU if torch sees one.
        window: (height, width) of sliding windows over pictures at their native size, in little
            memory; the test pipeline's steps after loading, such as resizing, are left out.
        stride: (down, right), from one window to the next; two thirds of the window by default.
        score: of objects: those that are less sure are left out; 0.3 by default.
        network: how the network runs: in half precision, compiled, with BatchNorms folded.
        options: dotted config keys and values that override the file.
        allow_unset: go on although the checkpoint leaves weights of the model at initial values.

    Attributes:
        config: as it was loaded.
        model: with its weights, in evaluation mode.
        classes: their names; made up where the config's test data have none.
        palette: their colours, (R, G, B) from 0 to 255.
        reader: reads a picture.
        predictor: predicts pictures that were read.

    Raises:
        FileNotFoundError: if the config or the checkpoint does not exist.
        ValueError: for settings out of range, or weights of another model.
        ImportError: if the config needs mmdet, which is missing.

    Example:
        inferencer = PointRendInferencer("pointrend_r50_4xb4-160k_ade20k-512x512", "weights.pth")
        labels = inferencer("street.jpg").labels  # (H, W)
        for found in inferencer.stream("pictures/", batch_size=4, confidence=True):
            print(found.confidence.mean())
    """

    def __init__(
        self,
        config: str | Path,
        checkpoint: str | Path,
        device: str | None = None,
        *,
        window: tuple[int, int] | None = None,
        stride: tuple[int, int] | None = None,
        score: float | None = None,
        network: NetworkSettings = AS_IT_IS,
        options: dict | None = None,
        allow_unset: bool = False,
    ) -> None:
        self.config = prepare_config(config, options=options)
        windows, files, task = (
            Windows.choose(window, stride),
            Files(score=score),
            task_of(self.config),
        )
        task.check_prediction(JobSettings(windows), files)
        self.reader = Reader(test_pipeline(self.config), whole=windows is None)
        self.model = load_model(self.config, checkpoint, device, allow_unset)
        prepare_network(self.model, network)
        wanted = task.wanted(self.config, self.model, files)
        self.classes, self.palette = task.class_names(self.config, self.model), wanted.palette
        self.predictor = wanted.predictor(self.model, windows)

    def __call__(
        self,
        pictures: Sources,
        *,
        batch_size: int = 1,
        confidence: bool = False,
        logits: bool = False,
        steps: bool = False,
    ) -> Maps | Objects | list[Maps] | list[Objects]:
        """Predict one picture, or several.

        Args:
            pictures: a path; an array, (H, W, 3) uint8, RGB; a tensor, (3, H, W) uint8, RGB; one of
                Pillow's images. Or several: a folder, a pattern such as `data/**/*.png`, a list of
                files (.txt), a stack of pixels with one dimension more, or a list of any of these.
            batch_size: pictures at a time; only pictures whose inputs have one size share a batch.
            confidence: see `Details`, as are the next two; for label maps.
            logits: the logits of every pixel, too.
            steps: what each step of the rendering does, too: see `RenderingStep`.

        Returns:
            of one picture `Maps`, or of a detector `Objects`; of several a list, in their order, of
            a folder in that of its paths.

        Raises:
            FileNotFoundError: if a picture does not exist.
            ValueError: for a damaged picture, a folder without any, or details that there are not.
            TypeError: for what is no picture, or pixels of another type.
        """
        found = self.stream(
            pictures, batch_size=batch_size, confidence=confidence, logits=logits, steps=steps
        )
        return next(found) if is_one_picture(pictures) else list(found)

    def stream(
        self,
        pictures: Sources,
        *,
        batch_size: int = 1,
        confidence: bool = False,
        logits: bool = False,
        steps: bool = False,
    ) -> Iterator[Maps | Objects]:
        """Predict pictures one after the other, in their order, and hold a few of them at a time.

        Arguments and errors are those of a call; `pictures` may also be a generator, of a video's
        frames for instance. Errors are raised when a picture's turn comes.
        """
        JobSettings(self.predictor.windows, batch_size)  # checks
        predictor = self.predictor.asked_for(Details(confidence, logits, steps))
        return self._predict(each_picture(pictures), predictor, batch_size)

    def _predict(
        self, pictures: Iterator[Source], predictor: object, batch_size: int
    ) -> Iterator[Maps | Objects]:
        number = _READ_BATCHES * batch_size if batch_size > 1 else 1
        while some := [
            _Numbered(place, self.reader.read(picture))
            for place, picture in enumerate(islice(pictures, number))
        ]:
            found: dict[int, Maps | Objects] = {}
            for batch in batches(some, batch_size):
                predicted: Sequence[Maps | Objects] = predictor([one.read for one in batch])
                found |= zip((one.place for one in batch), predicted, strict=True)
            yield from (found.pop(place) for place in range(len(some)))


class _Numbered(NamedTuple):
    """A picture that was read, and its place among those that are read at a time."""

    place: int
    read: Read
