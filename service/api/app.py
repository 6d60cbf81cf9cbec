"""`service.api.app:from_environment`, under which earlier versions started: for command lines that still name it."""

from service.app import from_environment

__all__ = ["from_environment"]
