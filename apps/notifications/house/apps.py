from django.apps import AppConfig


class HouseConfig(AppConfig):
    """What workers need of all tenants at once, in the shared schema; the rest of the room lives in cells."""

    name = "apps.notifications.house"
    label = "notifications_house"
    verbose_name = "Notifications of the house"
