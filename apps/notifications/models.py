"""What happened, where it is told, and what came of it. Rows of a cell; the shared part is in `house`."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from apps.core.models import CellRow
from apps.core.sealing import SealedTextField

STATUSES = ("pending", "sending", "sent", "coalesced", "failed", "unknown", "skipped")
FINAL = ("sent", "coalesced", "failed", "unknown", "skipped")
MEDIA = ("email", "slack", "teams", "pagerduty", "sms", "webhook")
MINUTES_A_DAY = 1_440


class Notice(CellRow):
    """Something that happened, once: `kind` is a code of kinds.py, `context` what its texts are made of."""

    kind = models.CharField(max_length=32)
    dedupe_key = models.CharField(max_length=120)
    severity = models.CharField(max_length=8)
    context = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "kind", "dedupe_key"], name="notifications_notice_once")
        ]
        indexes = [models.Index(fields=["tenant_id", "created_at"], name="notifications_notice_age")]

    def __str__(self) -> str:
        return f"{self.kind} {self.dedupe_key}"


class Channel(CellRow):
    """Where notices go. `secret` is sealed JSON of what the medium needs; `label` is what people may read of it.

    A member's own mail is a channel, too (`is_member`): its address is the account's at the time of sending.
    `kinds` None: what kinds.py says of the medium.
    """

    medium = models.CharField(max_length=16)
    name = models.CharField(max_length=80)
    label = SealedTextField(blank=True)
    secret = models.TextField(blank=True)
    owner_id = models.BigIntegerField(null=True)  # a user, in the shared schema
    is_member = models.BooleanField(default=False)
    kinds = ArrayField(models.CharField(max_length=32), null=True)
    muted = ArrayField(models.CharField(max_length=32), default=list)
    quiet_from = models.SmallIntegerField(null=True, help_text="Minutes after midnight in the tenant's zone.")
    quiet_until = models.SmallIntegerField(null=True)
    verified_at = models.DateTimeField(null=True)
    code_nonce = models.CharField(max_length=32, blank=True)
    code_until = models.DateTimeField(null=True)
    code_tries = models.SmallIntegerField(default=0)
    failures = models.IntegerField(default=0, help_text="In a row.")
    disabled_at = models.DateTimeField(null=True)
    disabled_reason = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(name="notifications_channel_medium", condition=Q(medium__in=MEDIA)),
            models.CheckConstraint(name="notifications_channel_name", condition=~Q(name="")),
            models.UniqueConstraint(
                fields=["tenant_id", "owner_id"], name="notifications_channel_member", condition=Q(is_member=True)
            ),
            models.CheckConstraint(
                name="notifications_channel_is_members",
                condition=Q(is_member=False) | Q(medium="email", owner_id__isnull=False),
            ),
            models.CheckConstraint(
                name="notifications_channel_quiet",
                condition=Q(quiet_from__isnull=True, quiet_until__isnull=True)
                | Q(
                    quiet_from__gte=0,
                    quiet_from__lt=MINUTES_A_DAY,
                    quiet_until__gte=0,
                    quiet_until__lt=MINUTES_A_DAY,
                )
                & ~Q(quiet_from=models.F("quiet_until")),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Delivery(CellRow):
    """A notice on its way through a channel. The row is the outbox: written with the notice, in its transaction.

    `is_held` waits for the end of quiet hours. `attempts` counts since the last (re)start, the attempts' rows stay.
    """

    notice_id = models.BigIntegerField()
    channel_id = models.BigIntegerField()
    kind = models.CharField(max_length=32)
    dedupe_key = models.CharField(max_length=120)
    status = models.CharField(max_length=16, default="pending")
    due_at = models.DateTimeField()
    is_held = models.BooleanField(default=False)
    attempts = models.SmallIntegerField(default=0)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=200, blank=True)
    coalesced_into_id = models.BigIntegerField(null=True)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["tenant_id", "kind", "dedupe_key", "channel_id"], name="notifications_delivery_once"
            ),
            models.CheckConstraint(name="notifications_delivery_status", condition=Q(status__in=STATUSES)),
        ]
        indexes = [
            models.Index(
                fields=["tenant_id", "channel_id", "id"], name="notifications_delivery_open",
                condition=Q(status__in=("pending", "sending")),
            ),
            models.Index(fields=["tenant_id", "created_at"], name="notifications_delivery_age"),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.kind} {self.dedupe_key}: {self.status}"

    @property
    def message_id(self) -> str:
        """The same however often it is sent."""
        return f"msg_{self.id}"


class Attempt(CellRow):
    """One try at a delivery, and the first 2 KB of what was answered."""

    delivery_id = models.BigIntegerField()
    outcome = models.CharField(max_length=16)
    status_code = models.SmallIntegerField(null=True)
    duration_ms = models.IntegerField()
    response = models.TextField(blank=True)

    class Meta:
        indexes = [models.Index(fields=["tenant_id", "delivery_id"], name="notifications_attempt_of")]

    def __str__(self) -> str:
        return f"{self.outcome} of {self.delivery_id}"


class Preference(CellRow):
    """Whether members of a role hear of a kind, in the portal's inbox or by mail; without a row kinds.py decides."""

    kind = models.CharField(max_length=32)
    medium = models.CharField(max_length=16)
    role = models.CharField(max_length=16)
    is_on = models.BooleanField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant_id", "kind", "medium", "role"], name="notifications_preference_once"
            ),
            models.CheckConstraint(name="notifications_preference_medium", condition=Q(medium__in=("inbox", "email"))),
        ]

    def __str__(self) -> str:
        return f"{self.kind} by {self.medium} to {self.role}: {self.is_on}"


class Seen(CellRow):
    """How far a member has read the inbox."""

    user_id = models.BigIntegerField()
    until_id = models.BigIntegerField(default=0, help_text="The newest notice that was shown.")

    class Meta:
        verbose_name_plural = "seen"
        constraints = [models.UniqueConstraint(fields=["tenant_id", "user_id"], name="notifications_seen_once")]

    def __str__(self) -> str:
        return f"{self.user_id} until {self.until_id}"
