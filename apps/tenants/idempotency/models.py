"""Answers that are given again to the same request. Rows of a cell."""

from django.db import models

from apps.core.models import CellRow


class IdempotentAnswer(CellRow):
    """`fingerprint` is of the request; `sealed` holds body and headers, which may have a secret in them."""

    principal_kind = models.CharField(max_length=8)
    principal_id = models.BigIntegerField()
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    status = models.SmallIntegerField()
    sealed = models.TextField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant_id", "principal_kind", "principal_id", "key"], name="tenants_idempotency_answer_once"
            ),
        ]

    def __str__(self) -> str:
        return self.key
