"""Every public function that writes rows: what it leaves in the log, or why it leaves nothing."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from apps.analytics.services import marker_create, pseudonymise_set
from apps.apikeys.services import key_create, key_revoke, key_rotate, organisation_open
from apps.billing.accounts import account_ensure, account_sync, contact_set
from apps.billing.gateways.subscriptions import Subscribed
from apps.billing.giving import give
from apps.billing.models import Account
from apps.billing.spending import alerts_set
from apps.limits import override_services, services
from apps.limits.overrides import OverrideSpec
from apps.notifications import channel_services, preferences
from apps.notifications.codes import code_of
from apps.notifications.models import Channel, Delivery
from apps.notifications.muting import Muting
from apps.notifications.outcomes import channel_disable
from apps.notifications.services import mute
from apps.plans.models import TenantPlan
from apps.plans.services import plan_set, spend_cap_set, trial_begin, trials_end
from apps.tenants import invitations
from apps.tenants.invitations import (
    invitation_accept,
    invitation_resend,
    invitation_revoke,
    invitation_sign_up,
    invite,
)
from apps.tenants.looking import look_begin, look_end
from apps.tenants.models import Invitation
from apps.tenants.privacy.deletion import deletion_ask, deletion_take_back
from apps.tenants.privacy.exporting import export_ask, export_link, export_make, export_open
from apps.tenants.services import (
    membership_put,
    membership_remove,
    tenant_create,
    tenant_suspend,
    tenant_update,
    user_create,
)
from apps.tenants.team import ownership_transfer
from tests.factories import PASSWORD, SpecFactory, colleague_make, key_make, override_make, rule_make
from tests.notifications.webhooks import webhook_make

NOW = datetime.now(UTC)
OVERRIDE = OverrideSpec(("u_1",), 5)


def _nothing(alice):
    """Needs nothing to be there before."""


def _rule(alice):
    return rule_make(alice.tenant_id, name="user-rpm", type="user").id


def _hook(alice):
    return webhook_make(alice, "https://hooks.example.com/x").id


def _channel(alice):
    return Channel.objects.get(id=_hook(alice))


def _given(**changed):
    return channel_services.Settings(**{"name": "Production"} | changed)


def _delivery(alice):
    """Of the test message that a new webhook gets."""
    channel_id = webhook_make(alice, "https://hooks.example.com/x", verified=False).id
    Delivery.objects.filter(channel_id=channel_id).update(status="failed")
    return Delivery.objects.get(channel_id=channel_id).id


def _code(alice):
    channel = channel_services.channel_create(
        tenant_id=alice.tenant_id, medium="email", values={"address": "oncall@alice.example"}, given=_given(),
        owner_id=alice.user_id, by=alice.email, now=NOW,
    )  # fmt: skip
    return {"channel_id": channel.id, "code": code_of(Channel.objects.get(id=channel.id))}


def _muting(alice):
    channel = Channel.objects.create(
        tenant_id=alice.tenant_id, medium="email", name="E-mail", owner_id=alice.user_id, is_member=True
    )
    return Muting(alice.tenant_id, channel.id, ("quota.warning",))


def _on_trial(alice):
    plan_set(tenant_id=alice.tenant_id, code="free")
    TenantPlan.objects.filter(tenant_id=alice.tenant_id).update(plan_id="trial", since_at=NOW - timedelta(days=60))


def _new_to_plans(alice):
    from apps.plans.models import Term

    TenantPlan.objects.filter(tenant_id=alice.tenant_id).delete()
    Term.objects.filter(tenant_id=alice.tenant_id).delete()


def _customer(alice):
    return Account.objects.create(tenant_id=alice.tenant_id, customer="cus_1")


def _stripe(*subscriptions):
    return SimpleNamespace(
        customer_create=lambda **_: "cus_2",
        customer_contact=lambda customer, email: None,
        subscriptions=SimpleNamespace(of=lambda customer: list(subscriptions)),
    )


STARTUP = Subscribed("sub_1", "active", "startup", NOW - timedelta(days=9), NOW + timedelta(days=9), None, None, "")


def _invite(alice):
    return invite(
        tenant_id=alice.tenant_id, email="sam@example.com", role="viewer", by_id=alice.user_id, by_role="owner", now=NOW
    )


def _link(alice):
    """Of the mail's."""
    return invitations._token(Invitation.objects.get(id=_invite(alice).id))


def _deletion(alice):
    return deletion_ask(tenant_id=alice.tenant_id, name="Alice", user_id=alice.user_id, password=PASSWORD, now=NOW)


def _export(alice):
    """A link to one that is made."""
    made = export_ask(tenant_id=alice.tenant_id, user_id=alice.user_id, now=NOW)
    export_make(export_id=made.id, now=NOW)
    return export_link(export_id=made.id, user_id=alice.user_id)


def _user():
    return user_create(email="sam@example.com", password=PASSWORD)


# function -> (action that it leaves, what has to be there before, the call with it). Both get Alice, who owns a tenant.
CHANGES = {
    "tenants.services.tenant_create": (
        "tenant.created", _nothing, lambda a, _: tenant_create(name="New", owner_id=a.user_id)),
    "tenants.services.tenant_update": (
        "tenant.updated", _nothing, lambda a, _: tenant_update(tenant_id=a.tenant_id, name="A", timezone="UTC")),
    "tenants.services.tenant_suspend": (
        "tenant.suspended", _nothing, lambda a, _: tenant_suspend(tenant_id=a.tenant_id, at=NOW)),
    "tenants.privacy.deletion.deletion_ask": (
        "tenant.deletion_asked", _nothing, lambda a, _: _deletion(a)),
    "tenants.privacy.deletion.deletion_take_back": (
        "tenant.restored", _deletion, lambda a, _: deletion_take_back(tenant_id=a.tenant_id, now=NOW)),
    "tenants.privacy.exporting.export_ask": (
        "export.asked", _nothing,
        lambda a, _: export_ask(tenant_id=a.tenant_id, user_id=a.user_id, now=NOW)),
    "tenants.privacy.exporting.export_open": (
        "export.downloaded", _export,
        lambda a, link: export_open(tenant_id=a.tenant_id, user_id=a.user_id, link=link, now=NOW)),
    "tenants.services.membership_put": (
        "member.added",
        _nothing, lambda a, _: membership_put(tenant_id=a.tenant_id, user_id=_user(), role="viewer")),
    "tenants.services.membership_remove": (
        "member.removed",
        lambda a: colleague_make(a.tenant_id, "viewer"), lambda a, user_id: membership_remove(
            tenant_id=a.tenant_id, user_id=user_id)),
    "tenants.looking.look_begin": (
        "member.looked_as", _nothing, lambda a, _: look_begin(
            tenant_id=a.tenant_id, user_id=a.user_id, reason="ticket 4711", now=NOW)),
    "tenants.looking.look_end": (
        "member.look_ended", _nothing, lambda a, _: look_end(tenant_id=a.tenant_id, user_id=a.user_id)),
    "tenants.invitations.invite": (
        "invitation.sent", _nothing, lambda a, _: _invite(a)),
    "tenants.invitations.invitation_resend": (
        "invitation.resent", _invite,
        lambda a, held: invitation_resend(
            tenant_id=a.tenant_id, invitation_id=held.id, now=NOW + timedelta(hours=1))),
    "tenants.invitations.invitation_revoke": (
        "invitation.revoked", _invite,
        lambda a, held: invitation_revoke(tenant_id=a.tenant_id, invitation_id=held.id, now=NOW)),
    "tenants.invitations.invitation_accept": (
        "invitation.accepted", _link,
        lambda a, token: invitation_accept(token=token, user_id=_user(), now=NOW)),
    "tenants.invitations.invitation_sign_up": (
        "invitation.accepted", _link,
        lambda a, token: invitation_sign_up(token=token, password=PASSWORD, name="Sam", now=NOW)),
    "tenants.team.ownership_transfer": (
        "tenant.ownership_transferred", lambda a: colleague_make(a.tenant_id, "viewer"),
        lambda a, to_id: ownership_transfer(
            tenant_id=a.tenant_id, from_id=a.user_id, to_id=to_id, password=PASSWORD)),
    "plans.services.plan_set": (
        "plan.changed", _nothing, lambda a, _: plan_set(tenant_id=a.tenant_id, code="startup")),
    "plans.services.trial_begin": (
        "plan.changed", _new_to_plans, lambda a, _: trial_begin(tenant_id=a.tenant_id)),
    "plans.services.trials_end": (
        "plan.changed", _on_trial, lambda a, _: trials_end(now=NOW)),
    "plans.services.spend_cap_set": (
        "plan.spend_cap_changed", _nothing, lambda a, _: spend_cap_set(tenant_id=a.tenant_id, cents=900)),
    "apikeys.services.organisation_open": (
        "key.created", _nothing, lambda a, _: organisation_open(user_id=a.user_id, name="New")),
    "apikeys.services.key_create": (
        "key.created", _nothing, lambda a, _: key_create(tenant_id=a.tenant_id, name="x", live=True)),
    "apikeys.services.key_revoke": (
        "key.revoked",
        lambda a: key_make(a.tenant_id).key, lambda a, key: key_revoke(tenant_id=a.tenant_id, key_id=key.id, now=NOW)),
    "apikeys.services.key_rotate": (
        "key.rotated",
        lambda a: key_make(a.tenant_id).key, lambda a, key: key_rotate(
            tenant_id=a.tenant_id, key_id=key.id, overlap=timedelta(0), now=NOW)),
    "limits.services.rule_create": (
        "rule.created", _nothing, lambda a, _: services.rule_create(tenant_id=a.tenant_id, spec=SpecFactory())),
    "limits.services.rule_update": (
        "rule.updated",
        _rule, lambda a, rule_id: services.rule_update(
            tenant_id=a.tenant_id, rule_id=rule_id, spec=SpecFactory(limit=7))),
    "limits.services.rule_mode_set": (
        "rule.updated",
        _rule, lambda a, rule_id: services.rule_mode_set(
            tenant_id=a.tenant_id, rule_id=rule_id, mode="shadow")),
    "limits.services.rule_enabled_set": (
        "rule.updated",
        _rule, lambda a, rule_id: services.rule_enabled_set(
            tenant_id=a.tenant_id, rule_id=rule_id, enabled=False)),
    "limits.services.rule_delete": (
        "rule.deleted",
        _rule, lambda a, rule_id: services.rule_delete(tenant_id=a.tenant_id, rule_id=rule_id)),
    "limits.services.rules_apply": (
        "rule.deleted",
        _rule, lambda a, _: services.rules_apply(tenant_id=a.tenant_id, specs=[SpecFactory()], prune=True)),
    "limits.services.sharding_set": (
        "sharding.changed",
        _nothing, lambda a, _: services.sharding_set(tenant_id=a.tenant_id, shards=4, dimension="user")),
    "limits.override_services.override_put": (
        "rule.override_set",
        _rule, lambda a, rule_id: override_services.override_put(
            tenant_id=a.tenant_id, rule_id=rule_id, spec=OVERRIDE)),
    "limits.override_services.override_delete": (
        "rule.override_deleted",
        lambda a: override_make(a.tenant_id, _rule(a)), lambda a, held: override_services.override_delete(
            tenant_id=a.tenant_id, rule_id=held.rule_id, override_id=held.id)),
    "limits.override_services.overrides_apply": (
        "rule.overrides_applied",
        _rule, lambda a, rule_id: override_services.overrides_apply(
            tenant_id=a.tenant_id, rule_id=rule_id, specs=[OVERRIDE], prune=True)),
    "notifications.channel_services.channel_create": (
        "channel.created", _nothing, lambda a, _: _hook(a)),
    "notifications.channel_services.channel_update": (
        "channel.updated",
        _hook, lambda a, channel_id: channel_services.channel_update(
            tenant_id=a.tenant_id, channel_id=channel_id, given=_given(name="Night"))),
    "notifications.channel_services.channel_delete": (
        "channel.deleted",
        _hook, lambda a, channel_id: channel_services.channel_delete(
            tenant_id=a.tenant_id, channel_id=channel_id)),
    "notifications.outcomes.channel_disable": (
        "channel.disabled", _channel, lambda a, held: channel_disable(held, reason="HTTP 500", now=NOW)),
    "notifications.channel_services.channel_enable": (
        "channel.enabled",
        _channel, lambda a, held: [
            channel_disable(held, reason="HTTP 500", now=NOW),
            channel_services.channel_enable(tenant_id=a.tenant_id, channel_id=held.id)]),
    "notifications.channel_services.code_confirm": (
        "channel.confirmed",
        _code, lambda a, values: channel_services.code_confirm(tenant_id=a.tenant_id, now=NOW, **values)),
    "notifications.channel_services.webhook_move": (
        "channel.moved",
        _hook, lambda a, channel_id: channel_services.webhook_move(
            tenant_id=a.tenant_id, channel_id=channel_id, url="https://other.example.com/")),
    "notifications.channel_services.webhook_rotate": (
        "channel.key_rotated",
        _hook, lambda a, channel_id: channel_services.webhook_rotate(
            tenant_id=a.tenant_id, channel_id=channel_id, now=NOW)),
    "notifications.channel_services.redeliver": (
        "delivery.repeated",
        _delivery, lambda a, delivery_id: channel_services.redeliver(
            tenant_id=a.tenant_id, delivery_id=delivery_id, now=NOW)),
    "notifications.preferences.matrix_set": (
        "notices.matrix_changed", _nothing, lambda a, _: preferences.matrix_set(tenant_id=a.tenant_id, chosen=set())),
    "notifications.preferences.own_mails_set": (
        "notices.own_mails_changed",
        _nothing, lambda a, _: preferences.own_mails_set(
            tenant_id=a.tenant_id, user_id=a.user_id, muted=["quota.warning"])),
    "notifications.services.mute": (
        "notices.own_mails_changed", _muting, lambda a, muting: mute(muting)),
    "analytics.services.marker_create": (
        "marker.created",
        _nothing, lambda a, _: marker_create(tenant_id=a.tenant_id, kind="deploy", text="v1", at=NOW)),
    "analytics.services.pseudonymise_set": (
        "privacy.changed", _nothing, lambda a, _: pseudonymise_set(tenant_id=a.tenant_id, pseudonymise=True)),
    "billing.accounts.account_ensure": (
        "billing.account_opened",
        _nothing, lambda a, _: account_ensure(_stripe(), tenant_id=a.tenant_id, email=a.email)),
    "billing.accounts.account_sync": (
        "billing.subscription_changed",
        _customer, lambda a, _: account_sync(
            _stripe(STARTUP), customer="cus_1", now=NOW)),
    "billing.accounts.contact_set": (
        "billing.contact_changed", _customer,
        lambda a, _: contact_set(
            _stripe(), tenant_id=a.tenant_id, customer="cus_1", email="bills@alice.example")),
    "billing.giving.give": (
        "billing.credit_given",
        _customer, lambda a, _: give(
            tenant_id=a.tenant_id, kind="credit", cents=900, reason="late", given_by="staff@example.com")),
    "billing.spending.alerts_set": (
        "billing.alerts_changed", _nothing, lambda a, _: alerts_set(tenant_id=a.tenant_id, cents=[900])),
}  # fmt: skip

_OURS = "the house's own rows, not a tenant's"
_PERSON = "a person, who may belong to no organisation or to many"
_HELPER = "writes for services that say it"
_DERIVED = "follows from what was said already"
_NOTICE = "is itself the record of what happened"
_LEDGER = "is itself a ledger that is only appended to"
_GOES = "the log goes with its tenant; that it was asked for was said"
_STRIPE = "a copy of what Stripe says"
NOT_SAID = {
    "tenants.privacy.deletion.deletion_mail": "carries by mail what was said when it was asked for",
    **{
        f"{room}.erasing.holdings_register": "writes nothing: it names what a purge calls"
        for room in ("tenants.privacy", "plans", "analytics", "billing")
    },
    "tenants.privacy.exporting.export_make": "makes what was said when it was asked for",
    "tenants.privacy.exporting.export_tell": "carries by mail what was said when it was asked for",
    "tenants.privacy.exporting.exports_remove": _GOES,
    "tenants.privacy.exporting.exports_sweep": "what is old goes, as documented",
    "tenants.privacy.resealing.reseal": "the same texts under another key of ours",
    "tenants.privacy.erasing.purge": _GOES,
    "tenants.privacy.erasing.rows_erase": _GOES,
    "tenants.privacy.erasing.sessions_end": _GOES,
    "plans.erasing.contract_plans_rename": _GOES,
    "analytics.erasing.late_events_refuse": _GOES,
    "billing.erasing.customer_erase": _GOES,
    "billing.erasing.deletion_follow": "does at Stripe what was said when the deletion was asked for or taken back",
    "billing.erasing.invoices_keep": _GOES,
    "billing.erasing.reasons_erase": _GOES,
    "billing.mirroring.mirror_forget": _GOES,
    "tenants.invitations.invitation_send": "carries by mail what was said when it was asked for",
    "tenants.idempotency.answering.answer_keep": _DERIVED,
    "tenants.idempotency.answering.answers_purge": _DERIVED,
    "tenants.services.cell_create": _OURS,
    "tenants.services.cells_ensure": _OURS,
    "tenants.services.user_ensure": _PERSON,
    "tenants.services.user_update": _PERSON,
    "tenants.logins.factors.factors_reset": "said in every organisation of theirs; see tests/portal/test_factors.py",
    "tenants.logins.sessions.session_note": _PERSON,
    "tenants.logins.sessions.session_renamed": _PERSON,
    "tenants.logins.sessions.session_end": _PERSON,
    "tenants.logins.sessions.sessions_purge": "what is old goes, as documented",
    "tenants.logins.tokens.logins_end": _PERSON,
    "tenants.logins.tokens.tokens_begin": _PERSON,
    "tenants.logins.tokens.tokens_refresh": _PERSON,
    "tenants.logins.tokens.tokens_revoke": _PERSON,
    "tenants.logins.tokens.tokens_purge": "what is old goes, as documented",
    "tenants.services.key_index_put": _HELPER,
    "tenants.services.key_index_end": _HELPER,
    "tenants.services.revision_bump": _DERIVED,
    "tenants.services.revisions_bump": _DERIVED,
    "plans.services.periods_renew": _DERIVED,
    "limits.override_services.overrides_write": _HELPER,
    "notifications.announcing.announce": _OURS,
    "notifications.announcing.announcement_put": _OURS,
    "notifications.audience.channels_hearing": "makes a member's own channel when it is first needed",
    "notifications.channel_services.confirmation_ask": "asks for a message, which the log of deliveries has",
    "notifications.delivering.delivery_take": "the log of deliveries says it",
    "notifications.delivering.lane_run": "the log of deliveries says it",
    "notifications.outcomes.delivery_settle": "the log of deliveries says it",
    "notifications.preferences.inbox_read": "reading",
    "notifications.purging.purge": "what is old goes, as documented",
    "notifications.services.deliveries_put": _NOTICE,
    "notifications.services.notice_put": _NOTICE,
    "notifications.services.notify": _NOTICE,
    "notifications.services.notify_cooled": _NOTICE,
    "billing.accounts.checkout_begin": "asks Stripe; what comes of it is said when Stripe says it",
    "billing.changes.plan_change": "asks Stripe; what comes of it is said when Stripe says it",
    "billing.changes.plan_keep": "asks Stripe; what comes of it is said when Stripe says it",
    "billing.giving.giving_carry": "carries to Stripe what was said when it was given",
    "billing.happenings.happened": _NOTICE,
    "billing.happenings.happenings_purge": "what is old goes, as documented",
    "billing.happenings.happenings_relay": _NOTICE,
    "billing.happenings.usage_relay": _NOTICE,
    "billing.ledger.usage_correct": _LEDGER,
    "billing.ledger.usage_post": _LEDGER,
    "billing.overage.overage_make": _LEDGER,
    "billing.telling.overage_tell": _LEDGER,
    "billing.reconciliation.compare": _OURS,
    "billing.settling.periods_settle": _LEDGER,
    "billing.mirroring.mirror_sync": _STRIPE,
}
