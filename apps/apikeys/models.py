"""API keys of a cell's tenants. The secret itself is never stored: a digest, the beginning and the last four remain."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from apps.core.models import CellRow

SCOPES = ["check", "refund", "read", "admin"]


class ApiKey(CellRow):
    """What doors need of a key stands in the shared index too (tenants.KeyIndex), written in the same transaction."""

    name = models.CharField(max_length=64)
    live = models.BooleanField()
    prefix = models.CharField(max_length=16)
    last_four = models.CharField(max_length=4)
    digest = models.CharField(max_length=80)
    scopes = ArrayField(models.CharField(max_length=16))
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    rotated_from_id = models.BigIntegerField(null=True)
    created_by_id = models.BigIntegerField(null=True)  # a user, in the shared schema

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "digest"], name="apikeys_apikey_digest"),
            models.CheckConstraint(
                name="apikeys_apikey_scopes",
                condition=models.Q(scopes__contained_by=SCOPES) & models.Q(scopes__len__gte=1),
            ),
            models.CheckConstraint(name="apikeys_apikey_name", condition=~models.Q(name="")),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…{self.last_four})"
