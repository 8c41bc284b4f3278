"""Those of one machine, with a view that fails while it holds secrets."""

from config.settings.dev import *  # noqa: F403

ROOT_URLCONF = "tests.leaks.urls"
