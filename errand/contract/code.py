"""What a worker has of a job type, as hashes: its code, and what its jobs work with."""

import inspect
import json
import sys
from collections.abc import Mapping
from hashlib import scrypt, sha256
from pathlib import Path
from typing import Any

from pydantic.errors import PydanticInvalidForJsonSchema

from errand.contract.job import Job
from errand.redis.keys import CODE_LENGTH


def hash_codes(types: Mapping[str, Job[..., Any]]) -> dict[str, str]:
    """Return for each type the hash of its code."""
    return {name: hash_code(job) for name, job in types.items()}


def hash_code(job: Job[..., Any]) -> str:
    """Return the hash of a job's code: of its payload's schema, and of the files of the job and of its function."""
    found = sha256(_describe_payload(job).encode())
    for name in sorted({job.module, job.function.__module__}):
        found.update(_read_source(name))
    return found.hexdigest()[:CODE_LENGTH]


def hash_services(types: Mapping[str, Job[..., Any]]) -> dict[str, str]:
    """Return for each type that says what its jobs work with the hash of that.

    It may hold a password and the hash lies in Redis, so the hash is one that makes guessing slow (RFC 7914).
    """
    return {name: _hash_slowly(service()) for name, job in types.items() if (service := job.options.service)}


def _hash_slowly(text: str) -> str:
    return scrypt(text.encode(), salt=b"errand", n=2**14, r=8, p=1, dklen=CODE_LENGTH // 2).hex()


def _describe_payload(job: Job[..., Any]) -> str:
    try:
        return json.dumps(job.payload.model.model_json_schema(), sort_keys=True, default=str)
    except PydanticInvalidForJsonSchema:
        return str(job.payload.signature)


def _read_source(name: str) -> bytes:
    """Return the text of a module's file, nothing where there is none: the module may come out of an archive."""
    file = getattr(sys.modules.get(name), "__file__", None)
    try:
        return Path(inspect.getsourcefile(sys.modules[name]) or file).read_bytes() if file else b""
    except OSError:
        return b""
