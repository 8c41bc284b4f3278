from django.urls import path

from apps.apikeys import leak_views, reference, views

app_name = "apikeys"

urlpatterns = [
    path("secret-scanning/report", leak_views.report, name="leak_report"),
    path("organisations/new", views.organisation_create, name="organisation_create"),
    path("api/docs", reference.reference, name="reference"),
    path("t/<slug:slug>/keys/reference", reference.reference_key, name="reference_key"),
    path("t/<slug:slug>/keys", views.keys, name="keys"),
    path("t/<slug:slug>/keys/new", views.create, name="create"),
    path("t/<slug:slug>/keys/<int:key_id>/made", views.made, name="made"),
    path("t/<slug:slug>/keys/<int:key_id>/rotate", views.rotate, name="rotate"),
    path("t/<slug:slug>/keys/<int:key_id>/revoke", views.revoke, name="revoke"),
]
