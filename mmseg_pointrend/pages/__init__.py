"""What is looked at: pages and pictures of a rendering, in files that need nothing else.

- `rendered_picture`: a picture, what each step of its rendering has made of it, and the truth.
- `step_page`: all of it as one HTML file, with its style (`step_page.css`) and script
  (`step_page.js`): steps, zoom, before and after, and the numbers of every pixel.
- `step_picture`: the steps side by side, as an image (paper, Fig. 9).
- `steps_hook`: such images of validation pictures, drawn while a model is trained.
"""

from mmseg_pointrend.pages.rendered_picture import RenderedPicture, StepNumbers
from mmseg_pointrend.pages.step_page import write_step_page
from mmseg_pointrend.pages.step_picture import draw_steps
from mmseg_pointrend.pages.steps_hook import RenderingStepsHook

__all__ = ["RenderedPicture", "RenderingStepsHook", "StepNumbers", "draw_steps", "write_step_page"]
