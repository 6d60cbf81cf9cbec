"""The job types that this process serves, and whether their settings are there."""

from collections.abc import Iterable, Sequence
from typing import Any

from errand.contract.errors import ContractError
from errand.contract.job import Job
from errand.contract.load import PACKAGE, load_jobs
from errand.redis.settings import SettingsError, read_settings


def read_catalog(package: str = PACKAGE, builtin: Sequence[str] = ()) -> dict[str, Job[..., Any]]:
    """Load the job files and try the settings each of them names. Raises SettingsError for all that is wrong."""
    types = load_catalog(package, builtin)
    check_settings(types.values())
    return types


def load_catalog(package: str = PACKAGE, builtin: Sequence[str] = ()) -> dict[str, Job[..., Any]]:
    """Load the job files. Raises SettingsError where one is wrong."""
    try:
        return load_jobs(package, builtin)
    except ContractError as error:
        raise SettingsError(str(error)) from error


def check_settings(jobs: Iterable[Job[..., Any]]) -> None:
    """Try the settings that jobs name. Raises SettingsError for all that is wrong."""
    faults = []
    for job in jobs:
        if (settings := job.options.settings) is not None:
            try:
                read_settings(settings, job.where)
            except SettingsError as error:
                faults.append(str(error))
    if faults:
        raise SettingsError("\n".join(faults))
