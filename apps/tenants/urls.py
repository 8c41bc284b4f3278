from django.urls import path

from apps.tenants.views import audit, organisations

app_name = "tenants"

urlpatterns = [
    path("home", organisations.home, name="home"),
    path("account", organisations.account, name="account"),
    path("t/<slug:slug>/team", organisations.team, name="team"),
    path("t/<slug:slug>/settings", organisations.settings, name="settings"),
    path("t/<slug:slug>/audit", audit.audit, name="audit"),
    path("t/<slug:slug>/audit.csv", audit.audit_csv, name="audit_csv"),
]
