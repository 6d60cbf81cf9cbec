"""Notify a URL of an event, signed by the Standard Webhooks specification."""

from errand.builtin import webhook

run = webhook.run.adopt(__name__)
