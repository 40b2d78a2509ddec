"""Which mmcv is accepted, and what is said of the others; mmcv itself is not imported."""

import importlib.metadata
import importlib.util
import sys

import pytest

from mmseg_pointrend.compat import versions


@pytest.fixture
def install_mmcv(tmp_path, monkeypatch):
    """Return a function that makes `import mmcv` find a package of a given version."""

    def install(version_file: str | None, init: bool = True) -> None:
        package = tmp_path / "mmcv"
        package.mkdir()
        if init:
            # Importing it would fail, so the check cannot be importing it.
            (package / "__init__.py").write_text("raise AssertionError('imported')\n")
        if version_file is not None:
            (package / "version.py").write_text(version_file)
        # find_spec of a module that is imported answers from sys.modules.
        monkeypatch.delitem(sys.modules, "mmcv", raising=False)
        monkeypatch.setattr(sys, "path", [str(tmp_path)])
        importlib.invalidate_caches()

    return install


@pytest.mark.parametrize("version", ["2.0.0rc4", "2.0.0", "2.1.0", "2.1.0+cpu"])
def test_versions_mmseg_accepts_pass(install_mmcv, version):
    install_mmcv(f"# c\n__version__ = '{version}'\n")
    versions.check_mmcv()


@pytest.mark.parametrize("version", ["1.7.2", "2.0.0rc3", "2.2.0", "2.3.0", "nonsense"])
def test_other_versions_raise_one_line_naming_version_and_both_ways(install_mmcv, version):
    install_mmcv(f'__version__ = "{version}"\n')
    with pytest.raises(ImportError) as error:
        versions.check_mmcv()
    message = str(error.value)
    assert "\n" not in message
    assert f"mmcv {version} is installed" in message
    assert "pip install --no-deps mmcv-lite==2.1.0" in message
    assert "`mmcv==2.1.0` compiled" in message


def test_missing_mmcv_raises_with_both_ways(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"mmcv is not installed.*mmcv-lite==2.1.0") as error:
        versions.check_mmcv()
    assert "\n" not in str(error.value)


def test_a_folder_named_mmcv_is_not_mmcv(install_mmcv):
    install_mmcv(None, init=False)
    with pytest.raises(ImportError, match="mmcv is not installed"):
        versions.check_mmcv()


def test_the_package_counts_and_not_the_metadata_of_another_distribution(install_mmcv, monkeypatch):
    install_mmcv("__version__ = '2.1.0'\n")
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "2.2.0")
    versions.check_mmcv()


def test_metadata_is_read_where_the_package_states_no_version(install_mmcv, monkeypatch):
    install_mmcv(None)

    def version(name: str) -> str:
        if name == "mmcv-lite":
            return "2.2.0"
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    with pytest.raises(ImportError, match="mmcv 2.2.0 is installed"):
        versions.check_mmcv()


def test_bounds_are_those_mmseg_asserts():
    import mmseg

    assert versions.MMCV_MIN == mmseg.MMCV_MIN
    assert versions.MMCV_MAX == mmseg.MMCV_MAX
