"""Inviting, joining, changing roles, leaving, and handing an organisation over."""

import re
from datetime import timedelta
from types import SimpleNamespace

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.utils import timezone

from apps.core.scope import tenant_scope
from apps.notifications.models import Notice
from apps.tenants.audit.reading import Wanted, entries_of
from apps.tenants.invitations import invitation_send, invitations_unsent
from apps.tenants.models import Invitation, Membership, User
from apps.tenants.services import user_create
from tests.factories import PASSWORD, MemberFactory, colleague_make
from tests.people import Browser

pytestmark = pytest.mark.django_db
SAM = "sam@example.com"


@pytest.fixture
def team(alice):
    return f"/t/{alice.slug}/team"


@pytest.fixture
def invited(alices, team, sent):
    """Sam, as a developer; `path` is where the mail leads."""
    assert alices.post(f"{team}/invite", {"email": SAM, "role": "developer"}).status_code == 302
    row = Invitation.objects.get()
    return SimpleNamespace(id=row.id, path=carried(row.id))


def carried(invitation_id):
    """What the mail that is sent now links to."""
    assert invitation_send(invitation_id=invitation_id, now=timezone.now())
    return re.search(r"http://[^/]+(/invitations/\S+)", mail.outbox[-1].body)[1]


def role_of(email):
    return Membership.objects.filter(user__email=email).values_list("role", flat=True).first()


def actions(alice):
    with tenant_scope(alice.tenant_id):
        return [entry.action for entry in entries_of(tenant_id=alice.tenant_id, wanted=Wanted(), limit=50)]


def said(answer):
    return " ".join(answer.content.decode().split())


class TestInviting:
    def test_the_mail_says_who_invites_to_what_and_has_one_button(self, invited, alice):
        [sent] = mail.outbox
        assert sent.to == [SAM]
        assert sent.subject == "alice@example.com invites you to Alice as developer"
        html = sent.alternatives[0].content
        assert html.count('class="mail-button"') == 1
        assert invited.path in html
        assert "It works once" in sent.body

    def test_the_link_stands_nowhere_in_the_database(self, invited):
        token = invited.path.rsplit("/", 1)[1]
        assert token not in str(Invitation.objects.values())

    def test_managers_hear_of_it_in_the_inbox(self, alices, alice, team, sent, django_capture_on_commit_callbacks):
        from apps.notifications.tasks import member_invited

        with django_capture_on_commit_callbacks(execute=True):
            alices.post(f"{team}/invite", {"email": SAM, "role": "developer"})
            invited = Invitation.objects.get()
            carried(invited.id)
        assert ("tenants.invitation_send", {"invitation_id": invited.id}) in sent
        assert ("notifications.member_invited", {"invitation_id": invited.id}) in sent
        member_invited(invitation_id=invited.id)
        with tenant_scope(alice.tenant_id):
            assert Notice.objects.get().context == {"email": SAM, "role": "developer", "by": alice.email}

    def test_a_mail_that_the_server_refused_is_sent_by_the_sweep_and_only_once(self, alices, team, sent, monkeypatch):
        from django.core.mail.backends.locmem import EmailBackend

        alices.post(f"{team}/invite", {"email": SAM, "role": "viewer"})
        held, now = Invitation.objects.get(), timezone.now()
        with monkeypatch.context() as away:
            away.setattr(EmailBackend, "send_messages", lambda *_: (_ for _ in ()).throw(ConnectionRefusedError()))
            assert not invitation_send(invitation_id=held.id, now=now)
        assert invitations_unsent(now=now) == []
        later = now + timedelta(minutes=6)
        assert invitations_unsent(now=later) == [held.id]
        assert invitation_send(invitation_id=held.id, now=later)
        assert not invitation_send(invitation_id=held.id, now=later + timedelta(minutes=6))
        assert len(mail.outbox) == 1

    def test_the_answer_is_the_same_whether_or_not_there_is_an_account(self, alices, team, sent, bob):
        pages = []
        for email in (bob.email, "nobody@example.com"):
            answer = alices.post(f"{team}/invite", {"email": email, "role": "viewer"}, follow=True)
            pages.append(re.sub(r'\d+|value="[^"]*"', "", said(answer).replace(email, "")))
        assert "is invited as viewer" in pages[0]
        assert pages[1].startswith(pages[0][:3_000])

    @pytest.mark.parametrize(
        ("email", "role", "words"),
        [
            ("alice@example.com", "viewer", "a member already"),
            ("sam", "viewer", "Enter a valid email address"),
            ("x@example.com", "king", "Select a valid choice"),
        ],
    )
    def test_what_is_wrong_is_said_beside_the_field(self, email, role, words, alices, team):
        answer = alices.post(f"{team}/invite", {"email": email, "role": role})
        assert answer.status_code == 422
        assert words in answer.content.decode()
        assert not Invitation.objects.exists()

    def test_twice_is_refused_and_leads_to_sending_again(self, invited, alices, team):
        assert "invited already" in said(alices.post(f"{team}/invite", {"email": SAM.upper(), "role": "viewer"}))

    def test_sent_again_the_link_before_ends(self, invited, alices, team, anonymous):
        assert "wait a minute" in said(alices.post(f"{team}/invitations/{invited.id}/resend", follow=True))
        Invitation.objects.update(asked_at=timezone.now() - timedelta(minutes=2))
        alices.post(f"{team}/invitations/{invited.id}/resend")
        path = carried(invited.id)
        assert path != invited.path
        assert anonymous.get(invited.path).status_code == 404
        assert anonymous.get(path).status_code == 200

    def test_an_admin_makes_no_owners(self, as_role, team):
        admin = as_role("admin")
        assert admin.post(f"{team}/invite", {"email": SAM, "role": "owner"}).status_code == 422
        assert not Invitation.objects.exists()

    def test_another_tenants_invitation_is_not_found(self, invited, bobs, bob):
        assert bobs.post(f"/t/{bob.slug}/team/invitations/{invited.id}/revoke").status_code == 404
        assert Invitation.objects.get().revoked_at is None


class TestJoining:
    def test_with_a_new_account(self, invited, anonymous, alice):
        assert "Create account and join" in said(anonymous.get(invited.path))
        answer = anonymous.post(invited.path, {"name": "Sam", "password": PASSWORD})
        assert answer["Location"] == f"/t/{alice.slug}/"
        assert anonymous.get(answer["Location"]).status_code == 200
        assert role_of(SAM) == "developer"
        assert EmailAddress.objects.get(email=SAM).verified
        with tenant_scope(alice.tenant_id):
            [added, accepted] = entries_of(tenant_id=alice.tenant_id, wanted=Wanted(), limit=2)
        assert (added.action, accepted.action, added.actor_name) == ("member.added", "invitation.accepted", SAM)

    def test_a_weak_password_makes_no_account(self, invited, anonymous):
        answer = anonymous.post(invited.path, {"password": "password"})
        assert answer.status_code == 422
        assert "too common" in said(answer)
        assert not User.objects.filter(email=SAM).exists()

    def test_with_an_account_after_logging_in(self, invited, anonymous, alice):
        user_create(email=SAM, password=PASSWORD)
        assert "has an account already" in said(anonymous.post(invited.path, {"password": PASSWORD}))
        login = re.search(r'href="(/accounts/login/\?next=[^"]+)"', said(anonymous.get(invited.path)))[1]
        answer = anonymous.post(login, {"login": SAM, "password": PASSWORD})
        assert answer["Location"] == invited.path
        assert role_of(SAM) is None  # looking changes nothing
        anonymous.get(invited.path)
        assert role_of(SAM) is None
        assert anonymous.post(invited.path).status_code == 302
        assert role_of(SAM) == "developer"

    def test_another_account_is_told_and_joins_nothing(self, invited, bobs, bob, alice):
        page = said(bobs.get(invited.path))
        assert f"This invitation is for {SAM}; you are logged in as {bob.email}" in page
        assert bobs.post(invited.path).status_code == 403
        assert not Membership.objects.filter(user_id=bob.user_id, tenant_id=alice.tenant_id).exists()
        assert bobs.post("/accounts/logout/", {"next": invited.path})["Location"] == invited.path

    @pytest.mark.parametrize(
        ("ended", "words"),
        [
            ({"accepted_at": timezone.now()}, "used already"),
            ({"revoked_at": timezone.now()}, "taken back"),
            ({"expires_at": timezone.now() - timedelta(days=1)}, "ended on"),
        ],
    )
    def test_a_link_that_is_over_says_why(self, ended, words, invited, anonymous):
        Invitation.objects.update(**ended)
        for answer in (anonymous.get(invited.path), anonymous.post(invited.path, {"password": PASSWORD})):
            assert answer.status_code == 409
            assert words in said(answer)
        assert not User.objects.filter(email=SAM).exists()

    def test_a_link_of_nobodys_says_that_it_is_not_valid(self, anonymous):
        answer = anonymous.get("/invitations/" + "0" * 64)
        assert answer.status_code == 404
        assert "not valid" in said(answer)

    def test_a_link_works_once(self, invited, anonymous):
        anonymous.post(invited.path, {"password": PASSWORD})
        assert Browser().post(invited.path, {"password": PASSWORD}).status_code == 409
        assert Membership.objects.filter(user__email=SAM).count() == 1

    def test_a_revoked_one_is_over(self, invited, alices, team, anonymous, alice):
        alices.post(f"{team}/invitations/{invited.id}/revoke")
        assert "taken back" in said(anonymous.get(invited.path))
        assert "invitation.revoked" in actions(alice)
        assert alices.post(f"{team}/invitations/{invited.id}/revoke").status_code == 404


class TestMembers:
    def test_a_role_is_changed_and_a_member_removed(self, alices, alice, team):
        user_id = colleague_make(alice.tenant_id, "viewer", email=SAM)
        alices.post(f"{team}/members/{user_id}/role", {"role": "billing"})
        assert role_of(SAM) == "billing"
        assert f"Remove {SAM}?" in said(alices.get(f"{team}/members/{user_id}/remove"))
        alices.post(f"{team}/members/{user_id}/remove")
        assert role_of(SAM) is None
        assert actions(alice)[:2] == ["member.removed", "member.role_changed"]

    def test_an_admin_cannot_touch_owners(self, as_role, alice, team):
        admin = as_role("admin")
        for path, values in ((f"{alice.user_id}/role", {"role": "viewer"}), (f"{alice.user_id}/remove", {})):
            assert "Only an owner" in said(admin.post(f"{team}/members/{path}", values, follow=True))
        own = User.objects.get(email="admin@alice.example").id
        assert "Only an owner" in said(admin.post(f"{team}/members/{own}/role", {"role": "owner"}, follow=True))
        assert role_of(alice.email) == "owner"

    def test_the_last_owner_stays(self, alices, alice, team):
        for path, values in (
            (f"members/{alice.user_id}/role", {"role": "viewer"}), (f"members/{alice.user_id}/remove", {}),
            ("leave", {}),
        ):  # fmt: skip
            assert "keeps at least one owner" in said(alices.post(f"{team}/{path}", values, follow=True))
        assert role_of(alice.email) == "owner"

    def test_anybody_else_may_leave(self, as_role, alice, team):
        viewer = as_role("viewer")
        assert "Leave Alice?" in said(viewer.get(f"{team}/leave"))
        assert viewer.post(f"{team}/leave")["Location"] == "/home"
        assert viewer.get(team).status_code == 404

    def test_a_stranger_is_no_member_to_change(self, alices, bob, team):
        assert alices.post(f"{team}/members/{bob.user_id}/role", {"role": "admin"}).status_code == 404

    def test_a_role_that_is_none_is_refused(self, alices, alice, team):
        user_id = colleague_make(alice.tenant_id, "viewer", email=SAM)
        alices.post(f"{team}/members/{user_id}/role", {"role": "king"})
        assert role_of(SAM) == "viewer"


class TestOwnership:
    def test_is_handed_over_with_the_password(self, alices, alice, team):
        user_id = colleague_make(alice.tenant_id, "developer", email=SAM)
        assert SAM in said(alices.get(f"{team}/ownership"))
        alices.post(f"{team}/ownership", {"member": user_id, "password": PASSWORD})
        assert (role_of(SAM), role_of(alice.email)) == ("owner", "admin")
        assert "tenant.ownership_transferred" in actions(alice)
        assert alices.get(f"{team}/ownership").status_code == 403

    def test_not_with_a_wrong_password(self, alices, alice, team):
        user_id = colleague_make(alice.tenant_id, "developer", email=SAM)
        answer = alices.post(f"{team}/ownership", {"member": user_id, "password": "wrong"})
        assert answer.status_code == 422
        assert "not your password" in said(answer)
        assert role_of(SAM) == "developer"

    def test_not_to_a_stranger(self, alices, bob, team):
        assert alices.post(f"{team}/ownership", {"member": bob.user_id, "password": PASSWORD}).status_code == 422

    def test_alone_there_is_nobody_to_hand_it_to(self, alices, team):
        assert "nobody else yet" in said(alices.get(f"{team}/ownership"))


def test_the_link_is_in_no_log():
    from config.logging import secrets_redact

    event = secrets_redact(None, "info", {"request": "GET /invitations/abc123?x=1", "code": 200})
    assert event == {"request": "GET /invitations/[redacted]?x=1", "code": 200}


def test_a_member_of_several_organisations_joins_another(sent):
    here, there = MemberFactory(email=SAM), MemberFactory()
    from apps.tenants.invitations import invite

    made = invite(
        tenant_id=there.tenant_id, email=SAM, role="viewer", by_id=there.user_id, by_role="owner", now=timezone.now()
    )
    assert Browser().into(SAM).post(carried(made.id))["Location"] == f"/t/{there.slug}/"
    assert Membership.objects.filter(user_id=here.user_id).count() == 2
