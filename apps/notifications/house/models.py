"""The shared schema's part: whose channels have something to do, so that workers find it without opening scopes."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now


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


class SmsUse(models.Model):
    """See house.sms."""

    pk = models.CompositePrimaryKey("scope", "day")
    scope = models.CharField(max_length=60)
    day = models.DateField()
    count = models.IntegerField()

    class Meta:
        verbose_name_plural = "SMS of a day"

    def __str__(self) -> str:
        return f"{self.scope} on {self.day}: {self.count}"


class Announcement(models.Model):
    """What we tell everybody, or some: an incident or maintenance. An edition is said to each tenant once.

    `tenant_ids` None is everybody. Those with ids up to `told_until_id` have been told the current edition.
    """

    class State(models.TextChoices):
        INVESTIGATING = "investigating"
        IDENTIFIED = "identified"
        MONITORING = "monitoring"
        SCHEDULED = "scheduled"
        RESOLVED = "resolved"

    class Component(models.TextChoices):
        CHECKS = "checks"
        PORTAL = "portal"
        ANALYTICS = "analytics"
        NOTIFICATIONS = "notifications"
        BILLING = "billing"

    title = models.CharField(max_length=90)
    body = models.TextField(max_length=2_000)
    state = models.CharField(max_length=16, choices=State, default=State.INVESTIGATING)
    component = models.CharField(max_length=16, choices=Component, default=Component.CHECKS)
    is_public = models.BooleanField(default=True, help_text="Stands on the status page.")
    tenant_ids = ArrayField(models.BigIntegerField(), null=True, blank=True, help_text="Empty: everybody.")
    edition = models.PositiveIntegerField(default=1, editable=False)
    told_until_id = models.BigIntegerField(default=0, editable=False)
    is_told = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    resolved_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="house_announcement_state",
                condition=models.Q(state__in=["investigating", "identified", "monitoring", "scheduled", "resolved"]),
            )
        ]
        indexes = [models.Index(fields=["is_told"], name="house_announcement_due", condition=models.Q(is_told=False))]

    def __str__(self) -> str:
        return self.title


class Edition(models.Model):
    """What an announcement said, when: the status page's history."""

    announcement = models.ForeignKey(Announcement, on_delete=models.CASCADE, related_name="editions")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=16)
    body = models.TextField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["announcement", "number"], name="house_edition_once")]

    def __str__(self) -> str:
        return f"{self.announcement_id}, edition {self.number}"
