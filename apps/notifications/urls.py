from django.urls import path

from apps.notifications.views import channels, inbox, mute, preferences

app_name = "notifications"

urlpatterns = [
    path("mails/stop/<str:token>", mute.stop, name="mute"),
    path("t/<slug:slug>/inbox", inbox.inbox, name="inbox"),
    path("t/<slug:slug>/inbox/unread", inbox.unread, name="unread"),
    path("t/<slug:slug>/notifications", preferences.preferences, name="preferences"),
    path("t/<slug:slug>/notifications/channels", channels.channels, name="channels"),
]
