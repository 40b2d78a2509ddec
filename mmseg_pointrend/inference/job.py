"""All pictures of a job from first to last: what is finished is skipped, what is bad is listed."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

from torch import nn

from mmseg_pointrend.inference.folder import JobFolder, Wanted
from mmseg_pointrend.inference.inputs import Picture
from mmseg_pointrend.inference.instances import Objects
from mmseg_pointrend.inference.loading import Failure, Loading, Prepared, batches, read_ahead
from mmseg_pointrend.inference.memory import (
    TOO_LARGE,
    TOO_LARGE_AS_A_WHOLE,
    lacks_memory,
    no_more_than_free,
)
from mmseg_pointrend.inference.predictor import Maps, Windows
from mmseg_pointrend.inference.progress import JobProgress
from mmseg_pointrend.inference.reading import PipelineError, Reader
from mmseg_pointrend.inference.stopping import Stopped, stopped_by_signals

#: Threads that encode and write files while the next pictures are predicted.
_WRITERS = 2
#: Pictures whose files may wait to be written: what a job holds must not grow.
_MOST_WAITING = 8
#: After so many pictures in a row that the model fails on, the model is what is wrong.
_MOST_IN_A_ROW = 10


@dataclass(frozen=True)
class JobSettings:
    """How a job predicts.

    Attributes:
        windows: sliding windows at the pictures' native size; None: as in testing.
        batch_size: pictures at a time; only pictures whose inputs have one size share a batch.
        workers: processes that read ahead; 0: pictures are read in between.
    """

    windows: Windows | None = None
    batch_size: int = 1
    workers: int = 0

    def __post_init__(self) -> None:
        """Check.

        Raises:
            ValueError: for numbers out of range.
        """
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more, got {self.batch_size}")
        if self.workers < 0:
            raise ValueError(f"workers must be 0 or more, got {self.workers}")
        if self.windows is not None and self.batch_size > 1:
            raise ValueError(
                f"batch_size must be 1 with windows, which come one by one; got {self.batch_size}"
            )


@dataclass
class Report:
    """What became of a job's pictures.

    Attributes:
        total: how many there were.
        finished: how many were finished before.
        predicted: how many were predicted.
        failures: the others.
        stopped: the signal that ended the job; 0 if none did.
    """

    total: int
    finished: int = 0
    predicted: int = 0
    failures: list[Failure] = field(default_factory=list)
    stopped: int = 0

    def describe(self) -> str:
        """Say it in a line, and one more for each picture that failed."""
        text = f"{self.predicted} of {self.total} pictures predicted"
        if self.finished:
            text += f", {self.finished} were finished before"
        if self.stopped:
            text += "; stopped: the same command goes on from here"
        if self.failures:
            text += f"; {len(self.failures)} could not be predicted:"
        return "\n".join([text, *(f"  {one.describe()}" for one in self.failures)])


def run_job(
    model: nn.Module,
    pipeline: list[dict],
    pictures: Sequence[Picture],
    folder: JobFolder,
    settings: JobSettings,
    quiet: bool = False,
) -> Report:
    """Predict pictures, and write their files.

    A picture that cannot be read or predicted is listed, and the others go on. SIGINT and SIGTERM
    stop: all files that are there are whole.

    Args:
        model: a segmentor or detector, in evaluation mode.
        pipeline: configs of the steps, from loading on (`reading.test_pipeline`).
        pictures: which.
        folder: where their files go; opened.
        settings: how.
        quiet: show no progress, and leave signals alone: part of a larger job.

    Raises:
        OSError: if files cannot be written.
        ValueError: if the pipeline can read no picture, or does what cannot be undone.
    """
    report = Report(total=len(pictures))
    todo = [picture for picture in pictures if not folder.is_finished(picture)]
    report.finished = len(pictures) - len(todo)
    reader = Reader(pipeline, settings.windows is None, keep_pixels=folder.wanted.overlays)
    loading = Loading(reader, folder.mark)
    try:
        signals = nullcontext() if quiet else stopped_by_signals()
        memory = no_more_than_free(model)
        with signals, memory, JobProgress(len(todo), quiet) as progress:
            job = _Job(model, folder, settings, report, progress)
            found = read_ahead(todo, loading, settings.workers)
            with job.writing():
                for batch in batches(found, settings.batch_size):
                    job.fail(batch) if isinstance(batch, Failure) else job.predict(batch)
    except Stopped as stop:
        report.stopped = stop.number
    return report


class _Job:
    """The moving parts of a job."""

    def __init__(
        self,
        model: nn.Module,
        folder: JobFolder,
        settings: JobSettings,
        report: Report,
        progress: JobProgress,
    ) -> None:
        self._predictor = folder.wanted.predictor(model, settings.windows)
        self._folder, self._settings = folder, settings
        self._report, self._progress = report, progress
        self._failed_in_a_row = 0
        self._waiting: deque[tuple[Picture, Future]] = deque()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Have threads that write; at the end, after a stop too, all is written."""
        with ThreadPoolExecutor(_WRITERS) as self._writers:
            try:
                yield
            finally:
                self._finish(at_most=0)

    def fail(self, failure: Failure) -> None:
        """List a picture."""
        if failure.stops:
            raise ValueError(failure.reason)
        self._report.failures.append(failure)
        self._progress.advance()

    def predict(self, batch: list[Prepared]) -> None:
        """Predict a batch, one by one if that fails, and have its files written."""
        found = self._try(batch)
        if isinstance(found, str):
            if len(batch) == 1:
                self.fail(Failure(batch[0].picture, found))
            else:
                for one in batch:
                    self.predict([one])
            return
        self._failed_in_a_row = 0
        for one, maps in zip(batch, found, strict=True):
            write = self._writers.submit(
                self._folder.write, one.picture, maps, one.read.pixels, one.mark
            )
            self._waiting.append((one.picture, write))
        self._finish(at_most=_MOST_WAITING)

    def _try(self, batch: list[Prepared]) -> list[Maps] | list[Objects] | str:
        """Predict a batch, or say why not. What an error holds in memory is let go of."""
        try:
            return self._predictor([one.read for one in batch])
        except PipelineError:
            raise
        except Exception as error:  # of the model or of memory, for pictures of a certain kind
            if lacks_memory(error):
                whole = self._settings.windows is None and isinstance(self._folder.wanted, Wanted)
                return TOO_LARGE_AS_A_WHOLE if whole else TOO_LARGE
            self._failed_in_a_row += len(batch) == 1
            if self._failed_in_a_row >= _MOST_IN_A_ROW:
                raise
            return f"the model fails: {' '.join(str(error).split()) or type(error).__name__}"

    def _finish(self, at_most: int) -> None:
        """Wait until at most so many pictures are to be written."""
        while len(self._waiting) > at_most:
            picture, write = self._waiting.popleft()
            try:
                write.result()
            except ValueError as error:  # this picture's; a full disk is an OSError
                self.fail(Failure(picture, str(error)))
            else:
                self._report.predicted += 1
                self._progress.advance()
