"""The table of kinds is whole: every kind can be said everywhere, and its button leads somewhere."""

import pytest
from django.template import Context, engines
from django.urls import reverse

from apps.core.mail import mail_compose
from apps.notifications.kinds import KINDS, ContextWrong, context_verify
from apps.notifications.models import MEDIA
from apps.notifications.rendering import message_make, words_of
from apps.tenants.permissions import ROLE_PERMISSIONS
from apps.tenants.selectors import tenant_get

each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.code)


@each_kind
def test_a_kind_names_what_there_is(kind):
    context_verify(kind, kind.example)
    assert kind.roles <= set(ROLE_PERMISSIONS)
    assert kind.media <= {*MEDIA, "inbox"}
    assert reverse(kind.path, kwargs={"slug": "acme"})


@each_kind
def test_a_kinds_mail_says_in_words_what_the_page_says_and_escapes_what_is_not_ours(db, alice, kind):
    context = {name: f"<_{name}>" if isinstance(value, str) else value for name, value in kind.example.items()}
    links = {"mute_url": "https://x/stop", "preferences_url": "https://x/choose", "code": "123456"}
    mail = mail_compose(
        name=kind.folder, to=["a@example.com"], context=words_of(kind, tenant_get(alice.tenant_id), context) | links
    )
    html = mail.alternatives[0].content
    assert "\n" not in mail.subject
    assert "&lt;" not in mail.subject + mail.body
    assert not any(f"<_{name}>" in html for name in context)
    said = {name for name in context if f"<_{name}>" in mail.body}
    assert said == {name for name in context if f"&lt;_{name}&gt;" in html}
    assert mail.body.count("/t/alice/") == 1  # one button
    assert kind.code == "channel.code" or ("https://x/stop" in mail.body and "https://x/stop" in html)
    assert max(len(line) for line in mail.body.splitlines()) < 500


@each_kind
def test_a_kind_has_a_subject_and_a_sentence_for_chats(db, alice, kind):
    message = message_make(message_id="m", kind=kind, tenant=tenant_get(alice.tenant_id), context=kind.example, at=None)
    assert 10 < len(message.line) < 400
    assert kind.code == "channel.code" or 10 < len(message.subject) < 100
    template = engines["django"].get_template(f"mail/{kind.folder}/line.txt").template
    assert template.render(Context(words_of(kind, message.tenant, kind.example), autoescape=False)).strip()


@pytest.mark.parametrize("change", [{"used": "many"}, {"surplus": 1}, {"used": None}])
def test_other_fields_than_the_kinds_are_a_mistake(change):
    kind = KINDS["quota.warning"]
    with pytest.raises(ContextWrong, match="quota"):
        context_verify(kind, kind.example | change)
    with pytest.raises(ContextWrong, match="missing"):
        context_verify(kind, {})
