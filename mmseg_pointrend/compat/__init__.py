"""Everything that exists only because an upstream release is old; each module says which one.

Importing this package imports no mm* package and no torch: `import mmseg_pointrend.core` must
work where only torch is installed. The work is done by `setup`.
"""

__all__ = ["setup"]


def setup() -> None:
    """Make the installed mm* releases usable; safe to call any number of times.

    `models`, `datasets`, `evaluation`, `engine` and `apis` call this before they import
    anything from mmseg: it checks mmcv, puts the stand-in for `mmcv._ext` in place, makes
    mmengine load checkpoints with `weights_only=True`, write files whole, find this project's
    configs as bases, and read metafiles and lay out a config's text once.

    Raises:
        ImportError: if mmcv is missing or is not a version that mmseg accepts, or if mmengine
            is missing.
    """
    from mmseg_pointrend.compat.mmcv_ext import install_stand_in
    from mmseg_pointrend.compat.versions import check_mmcv
    from mmseg_pointrend.compat.warnings_filter import hide_pkg_resources_warning

    check_mmcv()
    install_stand_in()
    hide_pkg_resources_warning()

    # Imported last and here: they need torch and mmengine, which the check above does not.
    from mmseg_pointrend.compat.checkpoints import install_weights_only_loaders
    from mmseg_pointrend.compat.config_text import lay_text_out_once
    from mmseg_pointrend.compat.metafiles import read_metafiles_once
    from mmseg_pointrend.compat.own_configs import find_own_bases
    from mmseg_pointrend.compat.whole_files import install_whole_file_backend

    install_weights_only_loaders()
    read_metafiles_once()
    lay_text_out_once()
    find_own_bases()
    install_whole_file_backend()
