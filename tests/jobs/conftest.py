"""The jobs of jobs/, for `errand_jobs` in this folder's tests."""

import pytest

from errand import Errand
from errand.testing.target import Target


@pytest.fixture(scope="package")
def _errand_target() -> Target:
    return Target(Errand())
