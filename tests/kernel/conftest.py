"""A cache of its own for the tests of the kernel build, and tests to build."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

CASES = Path(__file__).parent / "cases"


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all tests that do not mind what is in it already."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def cache(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache that is in use."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(shared_cache))
    return shared_cache


@pytest.fixture
def cases(tmp_path: Path) -> Iterator[Path]:
    """A copy of the sample tests, to be changed."""
    folder = tmp_path / "cases"
    shutil.copytree(CASES, folder)
    yield folder
