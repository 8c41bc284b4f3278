from celery import shared_task
from django.utils import timezone

from apps.apikeys import expiring


@shared_task(name="apikeys.expiring_tell")
def expiring_tell() -> None:
    expiring.keys_expiring_tell(now=timezone.now())
