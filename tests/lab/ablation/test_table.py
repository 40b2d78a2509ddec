"""Means and deviations, by hand."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmseg_pointrend.lab.ablation.plot import plot_rows
from mmseg_pointrend.lab.ablation.results_table import Row, format_csv, format_markdown

ROWS = [
    Row("a", 0, {"mIoU": 50.0, "trimap/mIoU_2px": 10.0}),
    Row("a", 1, {"mIoU": 52.0, "trimap/mIoU_2px": 20.0}),
    Row("b", 0, {"mIoU": 40.0, "refined/gain": 1.5}),
    Row("c", 0, {"mIoU": float("nan")}),
]


def test_csv_has_a_line_for_each_variant_and_seed() -> None:
    assert format_csv(ROWS).splitlines() == [
        "variant,seed,mIoU,trimap/mIoU_2px,refined/gain",
        "a,0,50.0,10.0,",
        "a,1,52.0,20.0,",
        "b,0,40.0,,1.5",
        "c,0,nan,,",
    ]


def test_markdown_has_means_and_deviations() -> None:
    assert format_markdown(ROWS).splitlines() == [
        "| variant | seeds | mIoU | trimap/mIoU_2px | refined/gain |",
        "|---|---|---|---|---|",
        "| a | 2 | 51.00 ± 1.41 | 15.00 ± 7.07 | - |",
        "| b | 1 | 40.00 | - | 1.50 |",
        "| c | 1 | - | - | - |",
    ]


def test_a_bar_in_a_name_does_not_end_a_cell() -> None:
    assert format_markdown([Row("a|b", 0, {"x|y": 1.0})]).splitlines() == [
        "| variant | seeds | x\\|y |", "|---|---|---|", "| a\\|b | 1 | 1.00 |",
    ]  # fmt: skip


@pytest.mark.parametrize("over_widths", [False, True])
@pytest.mark.parametrize("widths", [(), (2,), (1, 2, 4, 8, 20)])
def test_the_plot_shows_something(
    widths: tuple[int, ...], over_widths: bool, tmp_path: Path
) -> None:
    rows = [
        Row(variant, seed, {"aAcc": 90.0, "mIoU": 50.0 + seed}
            | {f"trimap/mIoU_{width}px": 20.0 + width + seed for width in widths})
        for variant in "ab" for seed in (0, 1)
    ]  # fmt: skip
    plot_rows(rows, "title", tmp_path / "plot.png", over_widths)
    picture = np.array(Image.open(tmp_path / "plot.png").convert("RGB"))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50
    for nothing in ([], [Row("a", 0, {})]):
        with pytest.raises(ValueError, match="rows must hold at least one metric"):
            plot_rows(nothing, "title", tmp_path / "plot.png")


def test_metrics_of_other_names_are_drawn_too(tmp_path: Path) -> None:
    plot_rows([Row("a", 0, {"mDice": 50.0})], "title", tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 3000
