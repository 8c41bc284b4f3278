"""Who there is: cells, tenants in cells, people, and who belongs where. All of it in the shared schema."""

import uuid
from collections.abc import Iterator
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Lower, Now
from django_tenants.models import TenantMixin

from apps.core.sealing import SealedTextField

SLUG = RegexValidator(r"^[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?$", "Use 1 to 48 of a-z, 0-9 and inner hyphens.")


class Cell(TenantMixin):  # type: ignore[misc]
    """One PostgreSQL schema that holds up to `capacity` tenants; only the owner's role makes one (cell_create)."""

    auto_create_schema = False

    region = models.CharField(max_length=32, default="default")
    capacity = models.PositiveIntegerField(default=1_000)
    tenant_count = models.PositiveIntegerField(default=0)
    is_open = models.BooleanField(default=True, help_text="Whether sign-ups may land here.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="tenants_cell_not_overfull", condition=models.Q(tenant_count__lte=models.F("capacity"))
            )
        ]


class Tenant(models.Model):
    name = models.CharField(max_length=80)
    slug = models.CharField(max_length=48, unique=True, validators=[SLUG])
    cell = models.ForeignKey(Cell, on_delete=models.PROTECT, related_name="+")
    revision = models.BigIntegerField(
        default=1, editable=False, help_text="Rises with every change that doors must learn of."
    )
    timezone = models.CharField(max_length=64, default="UTC")
    suspended_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return self.slug


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email__iexact=username)


class User(AbstractBaseUser, PermissionsMixin):
    """A person. May belong to several tenants; `is_staff` is us."""

    email = models.EmailField(max_length=254, unique=True)
    name = models.CharField(max_length=80, blank=True)
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    date_joined = models.DateTimeField(db_default=Now(), editable=False)
    generation = models.PositiveIntegerField(
        default=0, db_default=0, editable=False, help_text="Raised, it ends all sessions and tokens."
    )

    objects = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="tenants_user_email")]

    def __str__(self) -> str:
        return self.email

    def get_session_auth_hash(self) -> str:
        """What sessions and families of tokens were begun under: another password or generation ends them."""
        return f"{super().get_session_auth_hash()}.{self.generation}"

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        return (f"{held}.{self.generation}" for held in super().get_session_auth_fallback_hash())


class LoginSession(models.Model):
    """Where a person logged in with a browser; the session itself is Django's."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    session_key = models.CharField(max_length=40, unique=True)
    ip = models.CharField(max_length=45, blank=True)
    user_agent = models.CharField(max_length=400, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return f"session {self.id} of user {self.user_id}"


class TokenFamily(models.Model):
    """One login of a program: the tokens that came of it, each from the one before. It ends as a whole."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    auth_hash = models.CharField(max_length=96, help_text="The user's get_session_auth_hash when it began.")
    turn = models.PositiveIntegerField(default=1, help_text="How many refresh tokens it has had; the last is valid.")
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [models.Index(fields=["expires_at"], name="tenants_tokenfamily_old")]

    def __str__(self) -> str:
        return f"tokens {self.id} of user {self.user_id}"


class Membership(models.Model):
    class Role(models.TextChoices):
        OWNER = "owner"
        ADMIN = "admin"
        DEVELOPER = "developer"
        BILLING = "billing"
        VIEWER = "viewer"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "tenant"], name="tenants_membership_once"),
            models.CheckConstraint(
                name="tenants_membership_role",
                condition=models.Q(role__in=["owner", "admin", "developer", "billing", "viewer"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.tenant_id}: {self.role}"


class Invitation(models.Model):
    """Somebody is asked to join, by mail. The link's token is made of `nonce` with our key; kept is only its digest."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    email = SealedTextField()
    email_digest = models.CharField(max_length=64, help_text="So that nobody is asked twice: core.sealing.blind_index.")
    role = models.CharField(max_length=16, choices=Membership.Role)
    invited_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    nonce = models.CharField(max_length=32)
    digest = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField()
    mails = models.SmallIntegerField(default=1, help_text="How many were asked for.")
    asked_at = models.DateTimeField(help_text="When the latest was.")
    try_after = models.DateTimeField(help_text="When whoever sends it next may begin.")
    sent_at = models.DateTimeField(null=True)
    accepted_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "email_digest"],
                name="tenants_invitation_one_open",
                condition=models.Q(accepted_at__isnull=True, revoked_at__isnull=True),
            ),
            models.CheckConstraint(
                name="tenants_invitation_role",
                condition=models.Q(role__in=["owner", "admin", "developer", "billing", "viewer"]),
            ),
        ]
        indexes = [
            models.Index(
                fields=["try_after"], name="tenants_invitation_unsent",
                condition=models.Q(sent_at__isnull=True, accepted_at__isnull=True, revoked_at__isnull=True),
            )
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.email} to {self.tenant_id} as {self.role}"


class Deletion(models.Model):
    """Somebody asked for a tenant to be deleted. Until `due_at` it is suspended and can be taken back.

    The row outlives the tenant: `tenant_id` is then a number of nobody, and nothing here says whose it was.
    """

    id = models.BigAutoField(primary_key=True)
    tenant_id = models.BigIntegerField()
    asked_at = models.DateTimeField()
    due_at = models.DateTimeField()
    suspended_before_at = models.DateTimeField(null=True, help_text="Since when it was suspended already.")
    try_after = models.DateTimeField(help_text="When whoever sends the mail next may begin.")
    told_at = models.DateTimeField(null=True, help_text="When the owners had their mail.")
    taken_back_at = models.DateTimeField(null=True)
    begun_at = models.DateTimeField(null=True, help_text="From then on it cannot be taken back.")
    purged_at = models.DateTimeField(null=True, help_text="When nothing was left.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant_id"],
                name="tenants_deletion_once",
                condition=models.Q(taken_back_at__isnull=True),
            ),
            models.CheckConstraint(
                name="tenants_deletion_begun_or_taken_back",
                condition=models.Q(begun_at__isnull=True) | models.Q(taken_back_at__isnull=True),
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"], name="tenants_deletion_open",
                condition=models.Q(purged_at__isnull=True, taken_back_at__isnull=True),
            )
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"tenant {self.tenant_id} by {self.due_at:%Y-%m-%d}"


class Export(models.Model):
    """Everything that a tenant has, as a file that was asked for. `file` is its name in EXPORT_DIR, empty when gone."""

    id = models.BigAutoField(primary_key=True)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    asked_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    asked_at = models.DateTimeField()
    try_after = models.DateTimeField(help_text="When whoever makes it next may begin.")
    tries = models.SmallIntegerField(default=0)
    done_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    told_at = models.DateTimeField(null=True)
    file = models.CharField(max_length=80, blank=True)
    size_bytes = models.BigIntegerField(default=0)
    rows = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant"], name="tenants_export_one_at_a_time",
                condition=models.Q(done_at__isnull=True, failed_at__isnull=True),
            )
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"export {self.id} of {self.tenant_id}"


class KeyIndex(models.Model):
    """Which tenant an API key's digest belongs to, and what doors must know of it; no scope is needed to read it."""

    digest = models.CharField(max_length=80, primary_key=True)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    key_id = models.BigIntegerField()
    live = models.BooleanField()
    scopes = ArrayField(models.CharField(max_length=16))
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "key_id"], name="tenants_keyindex_key")]

    def __str__(self) -> str:
        return f"key {self.key_id} of tenant {self.tenant_id}"


class AuditHead(models.Model):
    """The last link of a tenant's audit chain. Its row is the lock under which entries are appended."""

    tenant = models.OneToOneField(Tenant, on_delete=models.CASCADE, primary_key=True, related_name="+")
    seq = models.BigIntegerField()
    prev_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"{self.tenant_id}: {self.seq} {self.hash}"
