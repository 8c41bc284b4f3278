"""The same application for ASGI servers."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.dev")

from django.core.asgi import get_asgi_application

from apps.core.guard import role_verify

application = get_asgi_application()
role_verify()
