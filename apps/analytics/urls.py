from django.urls import path

from apps.analytics.views import explorer, export, notes, overview, replay, traffic

app_name = "analytics"

urlpatterns = [
    path("t/<slug:slug>/", overview.overview, name="overview"),
    path("t/<slug:slug>/traffic", traffic.traffic, name="traffic"),
    path("t/<slug:slug>/traffic.csv", export.traffic_csv, name="traffic_csv"),
    path("t/<slug:slug>/traffic/markers", notes.marker, name="marker_create"),
    path("t/<slug:slug>/offenders", traffic.offenders_page, name="offenders"),
    path("t/<slug:slug>/explorer", explorer.explorer, name="explorer"),
    path("t/<slug:slug>/explorer.csv", export.events_csv, name="events_csv"),
    path("t/<slug:slug>/explorer/tail", explorer.tail, name="tail"),
    path("t/<slug:slug>/explorer/<str:check_id>", explorer.check, name="check"),
    path("t/<slug:slug>/rules/<int:rule_id>/traffic", traffic.rule, name="rule"),
    path("t/<slug:slug>/rules/<int:rule_id>/glance", traffic.rule_glance, name="rule_glance"),
    path("t/<slug:slug>/rules/sparks", traffic.sparks, name="sparks"),
    path("t/<slug:slug>/rules/replay", replay.replay, name="replay"),
    path("t/<slug:slug>/privacy", notes.privacy, name="privacy"),
]
