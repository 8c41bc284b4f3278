"""Publishing after a commit, and the sweep. Repeating any does no harm; what fails is done by the next sweep."""

from celery import shared_task
from django.utils import timezone
from redis import RedisError

from apps.limits import publishing


@shared_task(name="limits.snapshot_publish", autoretry_for=(RedisError,), max_retries=3, retry_backoff=1)
def snapshot_publish(tenant_id: int) -> None:
    publishing.snapshot_publish(tenant_id=tenant_id, now=timezone.now())


@shared_task(name="limits.key_publish", autoretry_for=(RedisError,), max_retries=3, retry_backoff=1)
def key_publish(tenant_id: int, key_id: int) -> None:
    publishing.key_publish(tenant_id=tenant_id, key_id=key_id, now=timezone.now())


@shared_task(name="limits.publish_sweep", throws=(RedisError,))
def publish_sweep() -> None:
    publishing.sweep(now=timezone.now())
