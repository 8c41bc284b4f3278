"""The beat of `tests.bench.quota_kills`: evaluates every second instead of every minute, and sends little else.

In particular no drains, which two beats would send twice, and which would keep both of the worker's processes.
"""

from config.celery import app

app.finalize()  # what is added then must not be added later
app.conf.beat_schedule = {
    "quota-notify": {"task": "billing.quota_notify", "schedule": 1.0, "options": {"expires": 5}},
    "notifications-sweep": {"task": "notifications.sweep", "schedule": 2.0, "options": {"expires": 5}},
}
