"""One machine: `make run` and work on the code."""

from config.settings.base import *  # noqa: F403
