from django.urls import path

from apps.tenants import views

app_name = "tenants"

urlpatterns = [
    path("home", views.home, name="home"),
    path("account", views.account, name="account"),
    path("t/<slug:slug>/team", views.team, name="team"),
    path("t/<slug:slug>/settings", views.settings, name="settings"),
]
