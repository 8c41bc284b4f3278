from django.urls import path

from apps.tenants.api.tokens import keys
from apps.tenants.views import audit, deletion, export, invitations, organisations, people, team

app_name = "tenants"

urlpatterns = [
    path(".well-known/jwks.json", keys, name="token_keys"),
    path("home", organisations.home, name="home"),
    path("account", organisations.account, name="account"),
    path("account/sessions", people.sessions, name="sessions"),
    path("account/sessions/<int:session_id>/end", people.session_end, name="session_end"),
    path("account/logout-others", people.logout_others, name="logout_others"),
    path("invitations/<str:token>", invitations.invitation, name="invitation"),
    path("t/<slug:slug>/team", team.team, name="team"),
    path("t/<slug:slug>/team/invite", team.member_invite, name="member_invite"),
    path("t/<slug:slug>/team/invitations/<int:invitation_id>/resend", team.resend, name="invitation_resend"),
    path("t/<slug:slug>/team/invitations/<int:invitation_id>/revoke", team.revoke, name="invitation_revoke"),
    path("t/<slug:slug>/team/members/<int:user_id>/role", team.role_set, name="member_role"),
    path("t/<slug:slug>/team/members/<int:user_id>/remove", team.remove, name="member_remove"),
    path("t/<slug:slug>/team/leave", team.leave, name="leave"),
    path("t/<slug:slug>/team/ownership", team.ownership, name="ownership"),
    path("t/<slug:slug>/settings", organisations.settings, name="settings"),
    path("t/<slug:slug>/settings/retention", export.retention, name="retention"),
    path("t/<slug:slug>/settings/export", export.exports, name="exports"),
    path("t/<slug:slug>/settings/export/download", export.download, name="export_download"),
    path("t/<slug:slug>/settings/delete", deletion.deletion, name="deletion"),
    path("t/<slug:slug>/settings/restore", deletion.restore, name="restore"),
    path("t/<slug:slug>/audit", audit.audit, name="audit"),
    path("t/<slug:slug>/audit.csv", audit.audit_csv, name="audit_csv"),
]
