"""The beat of `tests.bench.quota_kills`: evaluates twice a second instead of once a minute."""

from config.celery import app

app.conf.beat_schedule = {
    "quota-notify": {"task": "billing.quota_notify", "schedule": 0.5, "options": {"expires": 5}},
    "notifications-sweep": {"task": "notifications.sweep", "schedule": 2.0, "options": {"expires": 5}},
}
