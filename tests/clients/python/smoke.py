"""Lists rules, makes one, reads it, deletes it and checks, with the client that was generated beside this file."""

import sys

from ratelimiter_client import AuthenticatedClient
from ratelimiter_client.api.check import check
from ratelimiter_client.api.rate_limits import rule, rule_create, rule_delete, rules_list
from ratelimiter_client.models import CheckBody, Problem, RuleCreateBody

NEW = {"name": "chat-per-user", "type": "user", "match": {"route": "POST /v1/chat"}, "limit": 100, "window": "1m"}


def main(url, secret):
    with AuthenticatedClient(base_url=url, token=secret) as client:
        assert rules_list.sync(client=client).rules == []
        made = rule_create.sync(client=client, body=RuleCreateBody.from_dict(NEW))
        read = rule.sync(made.id, client=client)
        assert (read.limit, read.window) == (100, "1m")
        checked = check.sync(client=client, body=CheckBody(route="POST /v1/chat", user="u_42"))
        assert (checked.allowed, checked.remaining) == (True, 99)
        assert rule_delete.sync_detailed(made.id, client=client, if_match="*").status_code == 204
        missing = rule.sync(made.id, client=client)
        assert isinstance(missing, Problem)
        assert missing.code == "not_found"
    print("all well")


if __name__ == "__main__":
    main(*sys.argv[1:])
