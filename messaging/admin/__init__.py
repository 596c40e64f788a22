"""The console's pages of messaging: the pipeline to read, gateways and routes to set up."""

from messaging.admin import gateways, pipeline  # noqa: F401  (their pages register themselves)
