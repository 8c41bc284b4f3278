"""Background work on one screen: the queues, which task goes where, and what the beat sends."""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.dev")

app = Celery("ratelimiter", task_cls="apps.core.task:WorkingTask")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    task_default_queue="default",
    task_routes={
        "limits.*": {"queue": "publish"},
        "billing.account_sync": {"queue": "default"},
        "billing.accounts_sweep": {"queue": "default"},
        "billing.mirror_*": {"queue": "default"},
        "billing.giving*": {"queue": "default"},
        "billing.spend_alerts": {"queue": "default"},
        "billing.deletion_follow": {"queue": "default"},
        "billing.*": {"queue": "rollups"},
        "analytics.drain": {"queue": "ingest"},
        "analytics.settle": {"queue": "rollups"},
        "analytics.alert": {"queue": "rollups"},
        "analytics.weekly_digest": {"queue": "rollups"},
        "analytics.purge": {"queue": "rollups"},
        "analytics.identifiers_forget": {"queue": "rollups"},
        "analytics.tables_ensure": {"queue": "cells"},  # its worker has the owner's database role
        "notifications.email": {"queue": "email"},
        "notifications.slack": {"queue": "slack"},
        "notifications.teams": {"queue": "teams"},
        "notifications.pagerduty": {"queue": "pagerduty"},
        "notifications.sms": {"queue": "sms"},
        "notifications.webhook": {"queue": "webhook"},
        "notifications.announce": {"queue": "notify"},
        "notifications.sweep": {"queue": "notify"},
        "notifications.purge": {"queue": "notify"},
        "notifications.member_invited": {"queue": "notify"},
        "tenants.cells_ensure": {"queue": "cells"},
        "tenants.deletion_purge": {"queue": "cells"},
    },
    beat_schedule={
        "publish-sweep": {"task": "limits.publish_sweep", "schedule": 10.0, "options": {"expires": 10}},
        "usage-post": {"task": "billing.usage_post", "schedule": 60.0, "options": {"expires": 60}},
        "usage-correct": {"task": "billing.usage_correct", "schedule": 3_600.0, "options": {"expires": 3_600}},
        "usage-compare": {"task": "billing.usage_compare", "schedule": 300.0, "options": {"expires": 300}},
        "overage-tell": {"task": "billing.overage_tell", "schedule": 300.0, "options": {"expires": 300}},
        "periods-settle": {"task": "billing.periods_settle", "schedule": 1_800.0, "options": {"expires": 1_800}},
        "happenings-relay": {"task": "billing.happenings_relay", "schedule": 15.0, "options": {"expires": 15}},
        "trials-say": {"task": "billing.trials_say", "schedule": 3_600.0, "options": {"expires": 3_600}},
        "renewals-say": {"task": "billing.renewals_say", "schedule": 3_600.0, "options": {"expires": 3_600}},
        "accounts-sweep": {"task": "billing.accounts_sweep", "schedule": 300.0, "options": {"expires": 300}},
        "mirror-sweep": {"task": "billing.mirror_sweep", "schedule": 300.0, "options": {"expires": 300}},
        "spend-alerts": {"task": "billing.spend_alerts", "schedule": 300.0, "options": {"expires": 300}},
        "givings-sweep": {"task": "billing.givings_sweep", "schedule": 300.0, "options": {"expires": 300}},
        "quota-counters": {"task": "billing.quota_counters_raise", "schedule": 60.0, "options": {"expires": 60}},
        "quota-notify": {"task": "billing.quota_notify", "schedule": 60.0, "options": {"expires": 60}},
        "quota-notify-missed": {  # whoever went silent while nothing was evaluated
            "task": "billing.quota_notify",
            "schedule": 3_600.0,
            "kwargs": {"hours": 72},
            "options": {"expires": 3_600},
        },
        "settle": {"task": "analytics.settle", "schedule": 60.0, "options": {"expires": 60}},
        "analytics-alert": {"task": "analytics.alert", "schedule": 60.0, "options": {"expires": 60}},
        "weekly-digest": {"task": "analytics.weekly_digest", "schedule": 3_600.0, "options": {"expires": 3_600}},
        "keys-expiring": {"task": "apikeys.expiring_tell", "schedule": 3_600.0, "options": {"expires": 3_600}},
        "analytics-purge": {"task": "analytics.purge", "schedule": 3_600.0, "options": {"expires": 3_600}},
        "analytics-tables": {"task": "analytics.tables_ensure", "schedule": 3_600.0, "options": {"expires": 3_600}},
        "notifications-sweep": {"task": "notifications.sweep", "schedule": 5.0, "options": {"expires": 5}},
        "notifications-purge": {"task": "notifications.purge", "schedule": 86_400.0, "options": {"expires": 86_400}},
        "answers-purge": {"task": "tenants.answers_purge", "schedule": 86_400.0, "options": {"expires": 86_400}},
        "invitations-sweep": {"task": "tenants.invitations_sweep", "schedule": 60.0, "options": {"expires": 60}},
        "tokens-purge": {"task": "tenants.tokens_purge", "schedule": 86_400.0, "options": {"expires": 86_400}},
        "deletions-sweep": {"task": "tenants.deletions_sweep", "schedule": 3_600.0, "options": {"expires": 3_600}},
        "exports-sweep": {"task": "tenants.exports_sweep", "schedule": 300.0, "options": {"expires": 300}},
        "cells-ensure": {"task": "tenants.cells_ensure", "schedule": 300.0, "options": {"expires": 300}},
    },
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "visibility_timeout": 600,
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
        # A request whose task cannot be sent goes on soon: the sweep will find what was not done.
        "max_retries": 1,
        "interval_start": 0,
        "interval_max": 0.1,
    },
    beat_schedule_filename="var/celerybeat-schedule",
)
app.autodiscover_tasks()


@app.on_after_finalize.connect
def _drains_schedule(sender: Celery, **_: Any) -> None:
    """As many as share the partitions. A drain takes as long as the beat waits; one that nobody took is for nothing."""
    from django.conf import settings

    for number in range(settings.INGEST_WORKERS):
        sender.add_periodic_task(3.0, sender.signature("analytics.drain"), name=f"drain-{number}", expires=3)


@worker_init.connect
def _role_verify(**_: Any) -> None:
    from django.conf import settings

    from apps.core.guard import role_verify

    if not settings.DATABASE_IS_OWNER:
        role_verify()
