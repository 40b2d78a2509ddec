"""Names of metrics are legal wherever they are logged."""

import re

from mmseg_pointrend.evaluation.measures import IoUMeasures


def test_names_are_legal_for_mlflow() -> None:
    """MLflow takes alphanumerics, underscores, dashes, periods, spaces and slashes."""
    names = IoUMeasures(whole=True, widths=(1, 20), distances=(2, 0.02)).names
    assert len(names) == 5
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9_\-. /]+", name), name
