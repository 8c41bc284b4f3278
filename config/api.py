"""The admin API's addresses, and its description."""

from django.urls import path
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerView

from apps.limits.api.check import CheckView

urlpatterns = [
    path("v1/check", CheckView.as_view(), name="check"),
    path("schema", SpectacularAPIView.as_view(), name="api-schema"),
    path("docs", SpectacularSwaggerView.as_view(url_name="api-schema"), name="api-docs"),
    path("docs/redoc", SpectacularRedocView.as_view(url_name="api-schema"), name="api-redoc"),
]
