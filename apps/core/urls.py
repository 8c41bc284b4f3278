from django.urls import path

from apps.core import views

app_name = "core"

urlpatterns = [
    path("theme", views.theme_set, name="theme"),
    path("assets/<str:digest>/<str:name>", views.asset, name="asset"),
]
