"""Errors whose own methods are faulty."""

from collections.abc import Callable
from typing import Any

from errand.contract.errors import PermanentError


class NothingError(PermanentError):
    def __str__(self) -> Any:
        return None


class RaisesError(PermanentError):
    def __str__(self) -> str:
        raise SystemExit(3)

    __repr__ = __str__


class EndlessError(PermanentError):
    def __str__(self) -> str:
        return str(self)


class NoText(str):
    def __getitem__(self, key: Any) -> Any:
        raise ValueError("no")


class StrangeTextError(PermanentError):
    def __str__(self) -> str:
        return NoText("text")


def refuse(error: Any) -> Any:
    raise SystemExit(3)


class CauseError(PermanentError):
    __cause__ = property(refuse)


class NotesError(PermanentError):
    __notes__ = property(refuse)


class ClassError(PermanentError):
    __class__ = property(refuse)


class TraceError(PermanentError):
    __traceback__ = property(refuse)


class Meta(type):
    __name__ = property(refuse)


class NamedError(PermanentError, metaclass=Meta):
    pass


class SyntaxFaultError(PermanentError, SyntaxError):
    pass


class Group(ExceptionGroup[Exception]):
    exceptions = property(refuse)


def build_syntax() -> SyntaxFaultError:
    error = SyntaxFaultError("x")
    error.text, error.lineno = 3, "k"  # type: ignore[assignment]
    return error


def nest(depth: int) -> BaseException:
    error: Exception = PermanentError("inmost")
    for _ in range(depth):
        error = ExceptionGroup("g", [error])
    return error


# Built by the tests themselves: pytest looks at what parameters are.
ERRORS: dict[str, Callable[[], BaseException]] = {
    "text is None": lambda: NothingError(),
    "text raises": lambda: RaisesError(),
    "text recurs": lambda: EndlessError(),
    "text's own methods raise": lambda: StrangeTextError(),
    "cause raises": lambda: CauseError("no"),
    "notes raise": lambda: NotesError("no"),
    "class raises": lambda: ClassError("no"),
    "traceback raises": lambda: TraceError("no"),
    "name raises": lambda: NamedError("no"),
    "fields of another type": build_syntax,
    "lone surrogates": lambda: PermanentError("\ud800", b"\xff"),
    "a huge text": lambda: PermanentError("x" * 10_000_000),
    "a group's own methods raise": lambda: Group("g", [PermanentError("no")]),
    "a group 3,000 deep": lambda: nest(3000),
}
