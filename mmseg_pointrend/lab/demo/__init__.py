"""The demonstration: does PointRend sharpen boundaries? Measured and drawn in minutes.

Generated scenes, a small PointRend model and the same model without PointRend, trained alike; both
are measured, and PointRend's own coarse prediction beside them. Its two subjects are label maps
(`semantic`) and the masks of objects (`instances`).
"""

from mmseg_pointrend.lab.demo.demonstration import demo, format_table
from mmseg_pointrend.lab.demo.subject import choose_subject

__all__ = ["choose_subject", "demo", "format_table"]
