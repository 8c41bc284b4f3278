"""The admin API's addresses, and its description."""

from django.urls import path, re_path
from drf_spectacular.views import SpectacularAPIView

from apps.analytics.api.views import BreakdownView, EventsView, MarkersView, SeriesView, TopView
from apps.apikeys.api.keys import KeyRevokeView, KeyRotateView, KeysView, KeyView
from apps.billing.api.views import BillingView, InvoicesView
from apps.core.unknown import UnknownView
from apps.limits.api.check import CheckView, ExplainView, RefundView, ReleaseView
from apps.limits.api.overrides import OverridesView, OverrideView
from apps.limits.api.rules import (
    RuleDisableView,
    RuleEnableView,
    RuleModeView,
    RulesBulkView,
    RulesValidateView,
    RulesView,
    RuleView,
)
from apps.notifications.api.views import ChannelsView, InboxView
from apps.tenants.api.audit import AuditView
from apps.tenants.api.members import (
    InvitationResendView,
    InvitationRevokeView,
    InvitationsView,
    MembersView,
    MemberView,
)
from apps.tenants.api.tenant import TenantView
from apps.tenants.api.tokens import MeView, RefreshView, RevokeView, TokenView

urlpatterns = [
    path("v1/check", CheckView.as_view(), name="check"),
    path("v1/check/explain", ExplainView.as_view(), name="check-explain"),
    path("v1/checks/<str:check_id>/refund", RefundView.as_view(), name="check-refund"),
    path("v1/checks/<str:check_id>/release", ReleaseView.as_view(), name="check-release"),
    path("v1/analytics/series", SeriesView.as_view(), name="analytics-series"),
    path("v1/analytics/breakdown", BreakdownView.as_view(), name="analytics-breakdown"),
    path("v1/analytics/top", TopView.as_view(), name="analytics-top"),
    path("v1/analytics/events", EventsView.as_view(), name="analytics-events"),
    path("v1/analytics/markers", MarkersView.as_view(), name="analytics-markers"),
    path("v1/audit", AuditView.as_view(), name="audit"),
    path("v1/rate-limits", RulesView.as_view(), name="rules"),
    path("v1/rate-limits/bulk", RulesBulkView.as_view(), name="rules-bulk"),
    path("v1/rate-limits/validate", RulesValidateView.as_view(), name="rules-validate"),
    path("v1/rate-limits/<int:rule_id>", RuleView.as_view(), name="rule"),
    path("v1/rate-limits/<int:rule_id>/enable", RuleEnableView.as_view(), name="rule-enable"),
    path("v1/rate-limits/<int:rule_id>/disable", RuleDisableView.as_view(), name="rule-disable"),
    path("v1/rate-limits/<int:rule_id>/mode", RuleModeView.as_view(), name="rule-mode"),
    path("v1/rate-limits/<int:rule_id>/overrides", OverridesView.as_view(), name="overrides"),
    path("v1/rate-limits/<int:rule_id>/overrides/<int:override_id>", OverrideView.as_view(), name="override"),
    path("v1/api-keys", KeysView.as_view(), name="api-keys"),
    path("v1/api-keys/<int:key_id>", KeyView.as_view(), name="api-key"),
    path("v1/api-keys/<int:key_id>/rotate", KeyRotateView.as_view(), name="api-key-rotate"),
    path("v1/api-keys/<int:key_id>/revoke", KeyRevokeView.as_view(), name="api-key-revoke"),
    path("v1/members", MembersView.as_view(), name="members"),
    path("v1/members/<int:user_id>", MemberView.as_view(), name="member"),
    path("v1/members/invitations", InvitationsView.as_view(), name="invitations"),
    path("v1/members/invitations/<int:invitation_id>/resend", InvitationResendView.as_view(), name="invitation-resend"),
    path("v1/members/invitations/<int:invitation_id>/revoke", InvitationRevokeView.as_view(), name="invitation-revoke"),
    path("v1/tenants/current", TenantView.as_view(), name="tenant"),
    path("v1/billing", BillingView.as_view(), name="billing"),
    path("v1/billing/invoices", InvoicesView.as_view(), name="invoices"),
    path("v1/notifications", InboxView.as_view(), name="notifications"),
    path("v1/notifications/channels", ChannelsView.as_view(), name="channels"),
    path("v1/me", MeView.as_view(), name="me"),
    path("v1/token", TokenView.as_view(), name="token"),
    path("v1/token/refresh", RefreshView.as_view(), name="token-refresh"),
    path("v1/token/revoke", RevokeView.as_view(), name="token-revoke"),
    re_path(r"^v1/", UnknownView.as_view(), name="unknown"),  # whatever follows, line breaks too
    path("schema", SpectacularAPIView.as_view(), name="api-schema"),
]
