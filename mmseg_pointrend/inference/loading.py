"""Pictures read and prepared ahead, and put together to batches of one size."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from torch.utils.data import DataLoader, Dataset

from mmseg_pointrend.datasets.workers import leave_signals_to_main
from mmseg_pointrend.inference.inputs import Picture
from mmseg_pointrend.inference.reading import PipelineError, Read, Reader

#: What has `read`, such as `Prepared`.
HasRead = TypeVar("HasRead")

#: Pictures of other sizes that wait for their batch, in batches.
_WAITING_BATCHES = 4


class Prepared(NamedTuple):
    """A picture that is ready to be predicted.

    Attributes:
        picture: which.
        mark: of its files.
        read: its pixels.
    """

    picture: Picture
    mark: str
    read: Read


class Failure(NamedTuple):
    """A picture that could not be predicted.

    Attributes:
        picture: which.
        reason: one line.
        stops: whether no picture could: the pipeline is wrong.
    """

    picture: Picture
    reason: str
    stops: bool = False

    def describe(self) -> str:
        """Say why, with the picture's path."""
        path = self.picture.path
        return self.reason if path in self.reason else f"{path}: {self.reason}"


@dataclass(frozen=True)
class Loading:
    """How pictures are read.

    Attributes:
        reader: reads a file.
        mark: tells the mark of a picture's files; raises FileNotFoundError.
    """

    reader: Reader
    mark: Callable[[Picture], str]

    def prepare(self, picture: Picture) -> Prepared | Failure:
        """Read a picture; whatever is wrong with it is said, not raised."""
        try:
            # The mark first: of a picture that changes meanwhile it is the old one.
            return Prepared(picture, self.mark(picture), self.reader.read(picture.path))
        except PipelineError as error:
            return Failure(picture, _line(error), stops=True)
        except Exception as error:  # whatever the file makes a step raise
            return Failure(picture, _line(error))


def read_ahead(
    pictures: Sequence[Picture], loading: Loading, workers: int
) -> Iterator[Prepared | Failure]:
    """Read pictures in their order, ahead of their use if there are workers.

    Args:
        pictures: which.
        loading: how.
        workers: processes that read; 0: this one reads when asked.
    """
    if not workers:
        yield from map(loading.prepare, pictures)
        return
    loader = DataLoader(
        _Reading(pictures, loading),
        batch_size=None,
        num_workers=workers,
        collate_fn=_unchanged,
        worker_init_fn=leave_signals_to_main,
    )
    yield from loader


def batches(
    found: Iterable[HasRead | Failure], batch_size: int
) -> Iterator[list[HasRead] | Failure]:
    """Put pictures together whose inputs have the same size; failures pass at once.

    A picture waits for others of its size, but no more than a few batches of pictures wait.

    Args:
        found: pictures, each with what was `read`, and failures.
        batch_size: how many at most.
    """
    waiting: dict[tuple[int, ...], list[HasRead]] = {}
    for one in found:
        if isinstance(one, Failure):
            yield one
            continue
        item = one.read.item
        size = () if item is None else tuple(item["inputs"].shape)
        waiting.setdefault(size, []).append(one)
        count = sum(map(len, waiting.values()))
        if len(waiting[size]) == batch_size or item is None:
            yield waiting.pop(size)
        elif count >= _WAITING_BATCHES * batch_size:
            yield waiting.pop(max(waiting, key=lambda key: len(waiting[key])))
    yield from waiting.values()


class _Reading(Dataset):
    """Pictures, read when they are asked for."""

    def __init__(self, pictures: Sequence[Picture], loading: Loading) -> None:
        self._pictures, self._loading = pictures, loading

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, index: int) -> Prepared | Failure:
        return self._loading.prepare(self._pictures[index])


def _unchanged(prepared: Prepared | Failure) -> Prepared | Failure:
    return prepared


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    known = isinstance(error, ValueError | FileNotFoundError)
    return text if text and known else f"{type(error).__name__}: {text}"
