"""What was done, by whom and from where. Rows of a cell, appended and never changed."""

from django.db import models

from apps.core.models import CellRow
from apps.tenants.audit.actions import ACTOR_KINDS, VIAS


class AuditEntry(CellRow):
    """A link of its tenant's chain: `hash` covers `record`, `seq` and the hash before it, see chain.py.

    The other columns say the same as `record`, to be searched. The application may only read and insert.
    """

    seq = models.BigIntegerField(help_text="1, 2, 3 … of the tenant.")
    action = models.CharField(max_length=40)
    actor_kind = models.CharField(max_length=8)
    actor_id = models.BigIntegerField(null=True)
    actor_name = models.CharField(max_length=254)
    target_kind = models.CharField(max_length=20)
    target_id = models.CharField(max_length=64)
    target_name = models.CharField(max_length=254)
    via = models.CharField(max_length=8)
    record = models.TextField(help_text="The canonical form: exactly the text that was hashed.")
    prev_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        verbose_name_plural = "audit entries"
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "seq"], name="tenants_audit_entry_seq"),
            models.CheckConstraint(
                name="tenants_audit_entry_actor", condition=models.Q(actor_kind__in=list(ACTOR_KINDS))
            ),
            models.CheckConstraint(name="tenants_audit_entry_via", condition=models.Q(via__in=list(VIAS))),
        ]
        indexes = [
            models.Index(fields=["tenant_id", "target_kind", "target_id", "seq"], name="tenants_audit_entry_target")
        ]

    def __str__(self) -> str:
        return f"{self.seq} {self.action} {self.target_name}"
