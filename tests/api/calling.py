"""The admin API as a program calls it. A refusal has to be a problem document."""

import json
from functools import cache

from django.test import Client

from apps.tenants.principals import Admission

METHODS = ("get", "post", "put", "patch", "delete")


@cache
def client():
    """One for all: to load what stands before a view takes longer than a request."""
    return Client()


def unlimited(principal):
    """As `settings.API_LIMITER`: else 429 would be all there is to see."""
    return Admission(True, {}, "")


class Caller:
    """With an API key or a token."""

    def __init__(self, credential, **headers):
        self.headers = {"Authorization": f"Bearer {credential}"} | headers

    def call(self, method, path, body=None, *, status=None, **headers):
        given = self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        more = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
        answer = getattr(client(), method)(f"/api/v1/{path}", headers=given, **more)
        if answer.status_code >= 400:
            assert answer["Content-Type"] == "application/problem+json", answer.content
            assert answer.json()["status"] == answer.status_code
        assert status in (None, answer.status_code), answer.content
        return answer

    def get(self, path, status=200, **headers):
        return self.call("get", path, status=status, **headers)

    def post(self, path, body=None, status=201, **headers):
        return self.call("post", path, body, status=status, **headers)

    def put(self, path, body, status=200, **headers):
        return self.call("put", path, body, status=status, **headers)

    def patch(self, path, body, status=200, **headers):
        return self.call("patch", path, body, status=status, **headers)

    def delete(self, path, status=204, **headers):
        return self.call("delete", path, status=status, **headers)
