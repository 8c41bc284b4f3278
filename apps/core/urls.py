from django.urls import path

from apps.core import views

app_name = "core"

urlpatterns = [
    path("theme", views.theme_set, name="theme"),
    path("docs/errors", views.problems, name="problems"),
    path("docs/errors/<slug:code>", views.problem, name="problem"),
    path("docs/changelog", views.changelog, name="changelog"),
    path("assets/<str:digest>/<str:name>", views.asset, name="asset"),
]
