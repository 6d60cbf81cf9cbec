"""Text from jobs and services, made fit for a terminal."""

import re

# Control characters could move the cursor or set the window's title; lone surrogates can't be printed at all.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_UNFIT_IN_LINE = re.compile(_UNFIT.pattern.replace("\x00-\x1f", "\x00-\x09\x0b-\x1f"))


def make_plain(value: object, lines: bool = False) -> str:
    """Return a value's text with blanks for what does not print; with `lines` its line breaks stay."""
    return (_UNFIT_IN_LINE if lines else _UNFIT).sub(" ", str(value))
