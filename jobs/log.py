"""Write one line to the log at `LOG_URL`."""

from errand.builtin import log

run = log.run.adopt(__name__)
