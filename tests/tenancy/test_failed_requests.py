"""A request that fails leaves no rows, in Django and in DRF, whether the failure was handled or not."""

from types import SimpleNamespace

import pytest
from django.db import connection
from django.http import HttpResponse
from django.template.response import SimpleTemplateResponse
from django.test import RequestFactory
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from apps.core.errors import Invalid
from apps.core.scope import scoped, tenant_scope
from apps.limits.models import Rule
from tests.factories import rule_make

pytestmark = pytest.mark.django_db(transaction=True)


def names_of(member):
    with tenant_scope(member.tenant_id):
        return sorted(Rule.objects.values_list("name", flat=True))


def request_of(member):
    request = RequestFactory().post("/")
    request.tenant = SimpleNamespace(id=member.tenant_id)
    return request


def answering(status):
    @scoped
    def view(request):
        rule_make(request.tenant.id, name="half-done")
        return HttpResponse(status=status)

    return view


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422, 500])
def test_a_view_that_answers_with_an_error_leaves_no_rows(alice, status):
    assert answering(status)(request_of(alice)).status_code == status
    assert names_of(alice) == []


@pytest.mark.parametrize("status", [200, 302])
def test_a_view_that_answers_well_keeps_its_rows(alice, status):
    answering(status)(request_of(alice))
    assert names_of(alice) == ["half-done"]


def test_a_view_that_raises_leaves_no_rows(alice):
    @scoped
    def view(request):
        rule_make(request.tenant.id, name="half-done")
        raise Invalid("no")

    with pytest.raises(Invalid):
        view(request_of(alice))
    assert names_of(alice) == []


def test_a_template_renders_inside_the_scope(alice):
    class Late(SimpleTemplateResponse):
        @property
        def rendered_content(self):
            return ",".join(Rule.objects.values_list("name", flat=True))

    @scoped
    def view(request):
        rule_make(request.tenant.id, name="seen")
        return Late("no-template")

    assert view(request_of(alice)).content == b"seen"


def test_an_api_view_that_answers_with_a_handled_error_leaves_no_rows(alice):
    class View(APIView):
        def post(self, request):
            with tenant_scope(alice.tenant_id):
                rule_make(alice.tenant_id, name="half-done")
                raise Invalid("no", fields={"name": "Not this one."})

    response = View.as_view()(APIRequestFactory().post("/"))
    assert response.status_code == 400
    assert response.data["errors"] == [{"pointer": "/name", "message": "Not this one."}]
    assert names_of(alice) == []


def test_an_api_view_in_an_open_transaction_is_rolled_back_by_the_error_handler(alice):
    class View(APIView):
        def post(self, request):
            rule_make(alice.tenant_id, name="half-done")
            raise Invalid("no")

    @scoped
    def around(request):
        return View.as_view()(request)

    response = around(request_of(alice))
    assert response.status_code == 400
    assert names_of(alice) == []
    assert not connection.in_atomic_block


def test_an_api_view_that_answers_well_keeps_its_rows(alice):
    class View(APIView):
        def post(self, request):
            rule_make(alice.tenant_id, name="done")
            return Response({})

    View.as_view()(APIRequestFactory().post("/"))
    assert names_of(alice) == ["done"]
