from django.urls import path

from apps.notifications.views import catalogue, channels, inbox, log, mute, preferences, status

app_name = "notifications"

urlpatterns = [
    path("docs/webhooks", catalogue.catalogue, name="catalogue"),
    path("status", status.status, name="status"),
    path("mails/stop/<str:token>", mute.stop, name="mute"),
    path("t/<slug:slug>/inbox", inbox.inbox, name="inbox"),
    path("t/<slug:slug>/inbox/unread", inbox.unread, name="unread"),
    path("t/<slug:slug>/notifications", preferences.preferences, name="preferences"),
    path("t/<slug:slug>/notifications/channels", channels.channels, name="channels"),
    path("t/<slug:slug>/notifications/channels/new/<slug:medium>", channels.create, name="channel_create"),
    path("t/<slug:slug>/notifications/channels/<int:channel_id>", channels.channel, name="channel"),
    path("t/<slug:slug>/notifications/channels/<int:channel_id>/confirm", channels.confirm, name="channel_confirm"),
    path("t/<slug:slug>/notifications/channels/<int:channel_id>/ask", channels.ask, name="channel_ask"),
    path("t/<slug:slug>/notifications/channels/<int:channel_id>/enable", channels.enable, name="channel_enable"),
    path("t/<slug:slug>/notifications/channels/<int:channel_id>/rotate", channels.rotate, name="channel_rotate"),
    path("t/<slug:slug>/notifications/channels/<int:channel_id>/move", channels.move, name="channel_move"),
    path("t/<slug:slug>/notifications/channels/<int:channel_id>/delete", channels.delete, name="channel_delete"),
    path("t/<slug:slug>/notifications/log", log.log, name="log"),
    path("t/<slug:slug>/notifications/log/<int:delivery_id>", log.delivery, name="delivery"),
    path("t/<slug:slug>/notifications/log/<int:delivery_id>/again", log.again, name="again"),
]
