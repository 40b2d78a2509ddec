"""The text of a config, laid out once.

Upstream: mmengine 0.10.7. It lays the text of a run's config out by yapf, which takes up to 0.6 s
of processor time, at the start for the log, for the work dir and for the visualizer, and again for
every checkpoint. `lay_text_out_once` keeps what yapf gave for a text. It can go when mmengine does.
"""

import functools
from typing import Any

from mmengine.config import config as mmengine_config

#: Texts that are kept: the config of a run, and some more in a process that has several.
_KEPT = 16


def lay_text_out_once() -> None:
    """Let mmengine ask yapf once for each text; safe to call any number of times."""
    if not hasattr(mmengine_config.FormatCode, "__wrapped__"):
        mmengine_config.FormatCode = _keep(mmengine_config.FormatCode)


def _keep(lay_out: Any) -> Any:
    """Remember what a function of a text and settings has given."""
    kept: dict[str, Any] = {}

    @functools.wraps(lay_out)
    def remember(text: str, **settings: Any) -> Any:
        key = f"{settings}\n{text}"
        if key not in kept:
            while len(kept) >= _KEPT:
                kept.pop(next(iter(kept)))
            kept[key] = lay_out(text, **settings)
        return kept[key]

    return remember
