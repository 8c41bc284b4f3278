from django.urls import path

from apps.analytics.views import overview

app_name = "analytics"

urlpatterns = [
    path("t/<slug:slug>/", overview.overview, name="overview"),
]
