"""The shared schema's part: whose channels have something to do, so that workers find it without opening scopes."""

from django.db import models


class Lane(models.Model):
    """One a channel: deliveries of a channel happen one after the other, by the worker that holds its lease.

    `due_at` None: nothing to do. A lease that ran out was its worker's end; whoever comes next looks again.
    """

    channel_id = models.BigIntegerField(primary_key=True)
    tenant_id = models.BigIntegerField()
    medium = models.CharField(max_length=16)
    due_at = models.DateTimeField(null=True)
    nudged_at = models.DateTimeField(null=True, help_text="When a task was last sent for it.")
    leased_until = models.DateTimeField(null=True)
    lease = models.BigIntegerField(default=0, help_text="Rises with every claim.")

    class Meta:
        indexes = [
            models.Index(fields=["due_at"], name="house_lane_due", condition=models.Q(due_at__isnull=False)),
            models.Index(
                fields=["leased_until"], name="house_lane_held", condition=models.Q(leased_until__isnull=False)
            ),
            models.Index(fields=["tenant_id", "medium"], name="house_lane_tenant"),
        ]

    def __str__(self) -> str:
        return f"{self.medium} {self.channel_id} of {self.tenant_id}"
