"""Hide one warning that every start prints and no user can act on.

Upstream: mmengine 0.10.7 imports, and several times reloads, `pkg_resources`, which setuptools
deprecates; each time prints five lines about it. Whoever asks Python for warnings (`-W`,
`PYTHONWARNINGS`) still gets them.

It can go when mmengine uses `importlib.metadata`; then the bound on setuptools can go as well.
"""

import sys
import warnings


def hide_pkg_resources_warning() -> None:
    """Ignore setuptools' warning that pkg_resources is deprecated, and no other warning."""
    if not sys.warnoptions:
        warnings.filterwarnings("ignore", message="pkg_resources is deprecated as an API")
