from celery import shared_task

from apps.tenants import services


@shared_task(name="tenants.cells_ensure")
def cells_ensure() -> None:
    services.cells_ensure()
