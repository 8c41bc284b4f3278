"""Django REST framework's own throttle on a view that does nothing, its history in Redis through django-redis.

It is not exact: it reads a list, decides, and writes the list back, so callers at the same time are counted once.
"""

import os
from contextlib import AbstractContextManager

from tests.bench.contenders.contender import Running, Site, serving
from tests.bench.contenders.django_endpoint import GUNICORN
from tests.bench.requests import singles
from tests.bench.server import Server


def start(site: Site) -> AbstractContextManager[Running]:
    server = Server([*GUNICORN, f"{__name__}:application()"], folder=site.folder, STORE_URL=site.valkey.url)
    return serving(server, singles(["unused"]))


def application():
    import django
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application

    settings.configure(
        ALLOWED_HOSTS=["door"],
        CACHES={"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": os.environ["STORE_URL"]}},
        INSTALLED_APPS=["rest_framework"],
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        REST_FRAMEWORK={"DEFAULT_AUTHENTICATION_CLASSES": [], "UNAUTHENTICATED_USER": None},
        SECRET_KEY="only-for-the-benchmark",
        USE_TZ=True,
    )
    django.setup()
    settings.ROOT_URLCONF = _routes()
    return get_wsgi_application()


def _routes():
    from django.urls import path
    from rest_framework.renderers import JSONRenderer
    from rest_framework.response import Response
    from rest_framework.throttling import SimpleRateThrottle
    from rest_framework.views import APIView

    class PerUser(SimpleRateThrottle):
        rate = "1000/min"

        def get_cache_key(self, request, view):
            return f"throttle:{request.data['user']}"

    class Check(APIView):
        renderer_classes = [JSONRenderer]
        throttle_classes = [PerUser]

        def post(self, request):
            return Response({"allowed": True})

    return (path("v1/check", Check.as_view()),)
