"""Addresses and secrets at rest, and the exchange of the keys that seal them."""

import base64
import os
from io import StringIO

import pytest
from allauth.mfa.models import Authenticator
from django.core.exceptions import FieldError
from django.core.management import CommandError, call_command
from django.utils import timezone
from msgspec import structs

from apps.core.errors import Invalid
from apps.core.scope import tenant_scope
from apps.core.sealing import SealBroken, blind_index, is_newest, seal, unseal
from apps.notifications.delivering import unseal as unseal_of_channels
from apps.notifications.models import Channel
from apps.tenants.invitations import invite
from apps.tenants.models import Invitation
from config.env import env
from tests.database import owner_connection
from tests.notifications.webhooks import webhook_make

OLD, NEW = (base64.urlsafe_b64encode(os.urandom(32)).decode() for _ in range(2))


@pytest.fixture
def old_key(settings):
    settings.SEALING_KEYS = [OLD]
    return settings


def asked(member, email="Guest@Example.com"):
    return invite(
        tenant_id=member.tenant_id, email=email, role="viewer", by_id=member.user_id, by_role="owner",
        now=timezone.now(),
    )  # fmt: skip


def raw(model, column):
    """As the database has it."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM {model._meta.db_table} ORDER BY id")
        return [value for (value,) in cursor.fetchall()]


def test_an_invited_address_is_sealed_and_read_as_it_was(alice, sent):
    asked(alice)
    assert Invitation.objects.get().email == "Guest@Example.com"
    [sealed] = raw(Invitation, "email")
    assert "guest" not in sealed.lower()
    assert unseal(sealed) == "Guest@Example.com"
    with pytest.raises(FieldError):
        Invitation.objects.filter(email="Guest@Example.com")


def test_nobody_is_invited_twice_however_the_address_is_written(alice, bob, sent):
    asked(alice)
    with pytest.raises(Invalid):
        asked(alice, "guest@EXAMPLE.com")
    asked(bob)
    assert blind_index("invitation", "a") != blind_index("other", "a")


def test_where_a_channel_leads_is_sealed(alice, sent):
    webhook_make(alice, "https://hooks.example.com/x")
    with tenant_scope(alice.tenant_id):
        assert "hooks.example.com" in Channel.objects.get(medium="webhook").label
        assert all("hooks" not in label for label in raw(Channel, "label"))


def test_after_resealing_the_old_key_can_go(alice, sent, old_key):
    asked(alice)
    webhook_make(alice, "https://hooks.example.com/x")
    Authenticator.objects.create(user_id=alice.user_id, type="totp", data={"secret": seal("JBSWY3DP"), "name": "x"})
    old_key.SEALING_KEYS = [NEW, OLD]
    out = StringIO()
    call_command("reseal", stdout=out)
    said = dict(line.split(": ") for line in out.getvalue().splitlines())
    assert {said[f"cell.notifications_channel.{name}"] for name in ("label", "secret")} == {"1"}
    assert (said["public.tenants_invitation.email"], said["public.mfa_authenticator.data"]) == ("1", "1")
    old_key.SEALING_KEYS = [NEW]
    assert Invitation.objects.get().email == "Guest@Example.com"
    data = Authenticator.objects.get().data
    assert (unseal(data["secret"]), data["name"]) == ("JBSWY3DP", "x")
    with tenant_scope(alice.tenant_id):
        assert unseal_of_channels(Channel.objects.get(medium="webhook").secret)
    out = StringIO()
    call_command("reseal", stdout=out)
    assert {line.split(": ")[1] for line in out.getvalue().splitlines()} == {"0"}


def test_without_its_key_nothing_is_shown(alice, sent, old_key):
    asked(alice)
    assert is_newest(raw(Invitation, "email")[0])
    old_key.SEALING_KEYS = [NEW]
    with pytest.raises(SealBroken):
        Invitation.objects.get()
    with pytest.raises(CommandError, match="SEALING_KEYS lacks"):
        call_command("reseal")


def test_the_first_key_that_is_set_takes_over_from_the_one_of_the_secret_key():
    made = structs.replace(env, sealing_keys="").sealing()
    assert len(made) == 1
    assert structs.replace(env, sealing_keys=f"{NEW},{OLD}").sealing() == [NEW, OLD, *made]


def test_every_sealed_column_is_known_to_the_command(db):
    """What its name or its type says is sealed."""
    from django.apps import apps

    from apps.core.sealing import SealedTextField
    from apps.tenants.privacy.holdings import holdings

    fields = {
        f"{model._meta.db_table}.{field.column}"
        for model in apps.get_models()
        for field in model._meta.concrete_fields
        if isinstance(field, SealedTextField) or field.column in ("secret", "sealed")
        if model._meta.app_label != "djstripe"
    }
    assert fields == {f"{held.name}.{column}" for held in holdings() for column in held.sealed}
    with owner_connection() as owner:
        assert owner.execute("SELECT to_regclass('public.mfa_authenticator') IS NOT NULL").fetchone()[0]
