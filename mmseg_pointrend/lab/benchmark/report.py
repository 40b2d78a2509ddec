"""What benchmark.py prints: of a segmentor or of a mask branch, timed or counted."""

from mmseg_pointrend.lab.benchmark.benchmark import benchmark
from mmseg_pointrend.lab.benchmark.counts_table import format_counts
from mmseg_pointrend.lab.benchmark.device_counts import count_work
from mmseg_pointrend.lab.benchmark.network_ways import benchmark_network, format_network
from mmseg_pointrend.lab.benchmark.settings import Settings
from mmseg_pointrend.lab.benchmark.timings_table import format_benchmark


def make_report(settings: Settings) -> tuple[dict, str]:
    """Measure or count what is asked for.

    Returns:
        the report as plain values, and as text.

    Raises:
        FileNotFoundError: if there is no such config or checkpoint.
        ValueError: for settings out of range, or a config that does not fit them.
    """
    if settings.versus == "settings":
        report = benchmark_network(settings)
        return report, format_network(report)
    if settings.boxes:
        # mmdet is optional.
        from mmseg_pointrend.lab.benchmark.masks.benchmark import benchmark_masks, format_masks
        from mmseg_pointrend.lab.benchmark.masks.device_counts import (
            count_masks,
            format_mask_counts,
        )

        if settings.count:
            report = count_masks(settings)
            return report, format_mask_counts(report)
        report = benchmark_masks(settings)
        return report, format_masks(report)
    if settings.count:
        report = count_work(settings)
        return report, format_counts(report)
    report = benchmark(settings)
    return report, format_benchmark(report)
