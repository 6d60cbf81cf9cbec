"""The job types that this process serves, fit to run."""

from typing import Any

from errand.contract.errors import ContractError
from errand.contract.job import Job
from errand.contract.load import load_jobs
from errand.redis.settings import SettingsError, read_settings


def read_catalog() -> dict[str, Job[..., Any]]:
    """Load the job files and try the settings each of them names. Raises SettingsError for all that is wrong."""
    try:
        types = load_jobs()
    except ContractError as error:
        raise SettingsError(str(error)) from error
    faults = []
    for job in types.values():
        if job.settings:
            try:
                read_settings(job.settings, job.where)
            except SettingsError as error:
                faults.append(str(error))
    if faults:
        raise SettingsError("\n".join(faults))
    return types
