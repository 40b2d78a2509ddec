"""Where the files of a job lie, what made them, and which of them are finished.

A folder has `labels/`, `confidence/` and `overlays/`, or of objects `instances/`, each with the
pictures' own folders in it, and a record, `predicted_by.json`. Every file holds a mark, made of
that record and of its picture's path, size and time: a file with the right mark need not be made
again, whoever wrote it and when.
"""

import errno
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from mmseg_pointrend.compat.whole_files import whole_file
from mmseg_pointrend.inference.inputs import Picture
from mmseg_pointrend.inference.instances import Objects, WantedObjects
from mmseg_pointrend.inference.overlays import paint
from mmseg_pointrend.inference.predictor import Details, LabelPredictor, Maps, Windows
from mmseg_pointrend.inference.record import Record
from mmseg_pointrend.inference.written import (
    check_inside,
    has_mark,
    write_confidence,
    write_labels,
    write_overlay,
)

RECORD_NAME = "predicted_by.json"
#: The folders, and what files in them end in.
_ENDINGS = {"labels": ".png", "confidence": ".png", "overlays": ".jpg", "instances": ".json"}


@dataclass(frozen=True)
class Wanted:
    """Label maps: which files are written besides them, and how.

    Attributes:
        palette: the classes' colours, (R, G, B) from 0 to 255.
        colored: put the palette into label maps of 8 bits.
        confidence: write how sure each pixel's label is.
        overlays: write painted pictures.
    """

    palette: Sequence[Sequence[int]]
    colored: bool = True
    confidence: bool = False
    overlays: bool = False

    def kinds(self) -> list[str]:
        """Name the folders; labels come last, so that they are there when all is."""
        kinds = dict(confidence=self.confidence, overlays=self.overlays, labels=True)
        return [kind for kind, wanted in kinds.items() if wanted]

    def predictor(self, model: nn.Module, windows: Windows | None = None) -> LabelPredictor:
        """Predict what is written, by a model."""
        return LabelPredictor(model, Details(confidence=self.confidence), windows)

    def write(self, kind: str, path: Path, maps: Maps, pixels: object, mark: str) -> None:
        """Write a file of a picture.

        Raises:
            OSError: if it cannot be written.
            ValueError: if the picture is too large for the format.
        """
        if kind == "labels":
            write_labels(path, maps.labels, self.palette if self.colored else None, mark)
        elif kind == "confidence":
            write_confidence(path, maps.confidence, mark)
        else:
            write_overlay(path, paint(pixels, maps.labels, self.palette), mark)


class JobFolder:
    """A folder that a job writes to.

    Args:
        path: the folder; made if it does not exist.
        wanted: which files are written.
    """

    def __init__(self, path: str | os.PathLike, wanted: Wanted | WantedObjects) -> None:
        self.path, self.wanted, self._digest = Path(path), wanted, ""

    @staticmethod
    def result_folders(path: str | os.PathLike) -> list[Path]:
        """List the folders whose pictures are results."""
        return [Path(path) / kind for kind in _ENDINGS]

    def open(self, record: Record, overwrite: bool = False) -> None:
        """Compare the folder's record with that of this job, and write this one.

        Args:
            record: what makes the files from now on.
            overwrite: go on although other files were made by something else. They are replaced
                when their pictures' turn comes.

        Raises:
            ValueError: if something else made the files that are there.
        """
        path = self.path / RECORD_NAME
        # In this order: another process may write its record, and files after it.
        filled = [folder for folder in self.result_folders(self.path) if _holds_files(folder)]
        before = _read_record(path)
        if before is None and filled:
            raise ValueError(
                f"out {self.path} has a folder {filled[0].name} that this tool did not write "
                f"(there is no {RECORD_NAME}): take another folder"
            )
        if before is not None and not overwrite and (differences := record.differences(before)):
            raise ValueError(
                f"out {self.path} holds predictions by something else: "
                f"{'; '.join(differences)}; take another folder, or --overwrite to replace them"
            )
        if before is None or record.differences(before):
            with whole_file(path) as file:
                file.write(record.text().encode())
        self._digest = record.digest()

    def mark(self, picture: Picture) -> str:
        """Make the mark of a picture's files.

        Raises:
            FileNotFoundError: if the picture does not exist.
        """
        try:
            stat = os.stat(picture.path)
        except OSError as error:
            raise FileNotFoundError(f"image {picture.path} does not exist") from error
        facts = f"{self._digest} {stat.st_size} {stat.st_mtime_ns} ".encode()
        return hashlib.sha256(facts + os.fsencode(str(picture.source))).hexdigest()[:32]

    def is_finished(self, picture: Picture) -> bool:
        """Whether all files of a picture are there, and are what this job would write."""
        try:
            mark = self.mark(picture)
        except FileNotFoundError:
            return False
        return all(has_mark(path, mark) for _, path in self._files(picture))

    def write(self, picture: Picture, found: Maps | Objects, pixels: object, mark: str) -> None:
        """Write all files of a picture.

        Args:
            picture: whose files they are.
            found: what was predicted.
            pixels: the picture as it was loaded, for an overlay.
            mark: `mark(picture)`, from before it was read.

        Raises:
            OSError: if a file cannot be written.
            ValueError: if a link leads out of the folder, a name is too long, or a picture is too
                large for a format.
        """
        for kind, path in self._files(picture):
            check_inside(self.path, path)
            try:
                self.wanted.write(kind, path, found, pixels, mark)
            except OSError as error:
                if error.errno == errno.ENAMETOOLONG:
                    raise ValueError(f"{path}: the name is too long") from error
                raise

    def _files(self, picture: Picture) -> Iterator[tuple[str, Path]]:
        for kind in self.wanted.kinds():
            yield kind, self.path / kind / picture.name.with_suffix(_ENDINGS[kind])


def _holds_files(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _read_record(path: Path) -> dict | None:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}): remove it and its folder") from error
    return found if isinstance(found, dict) else {}
