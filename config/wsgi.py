"""The portal and the admin API, for gunicorn. Refuses to serve with a database role that row security does not bind."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.dev")

from django.core.wsgi import get_wsgi_application

from apps.core.guard import role_verify

application = get_wsgi_application()
role_verify()
