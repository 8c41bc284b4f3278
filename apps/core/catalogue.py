"""Every code that a problem document may have: what it means, why it comes, what to do. Pages, titles and OpenAPI
read it from here; `/docs/errors/<code>` is the page that a document's `type` leads to.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_TEXT = {"type": "string"}
_MEMBERS = {"type": _TEXT, "title": _TEXT, "status": {"type": "integer"}, "code": _TEXT, "detail": _TEXT}
_ERROR = {"type": "object", "required": ["pointer", "message"], "properties": {"pointer": _TEXT, "message": _TEXT}}
PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object", "required": list(_MEMBERS),
    "properties": _MEMBERS | {"errors": {"type": "array", "items": _ERROR}},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Problem:
    """`example` is a `detail` as it comes, and `fields` what is wrong where, by the field's name."""

    status: int
    title: str
    cause: str
    fix: str
    example: str
    fields: Mapping[str, str] = field(default_factory=dict)


CATALOGUE: dict[str, Problem] = {
    "invalid": Problem(
        400, "Something in the request is not valid",
        "A field of the body, a parameter or a header has a value that cannot be. Nothing was changed.",
        "`errors` points at each field at fault (a JSON pointer, or the parameter’s name) and says what it "
        "must be. Correct them and send the request again.",
        "The rule is not valid.", {"limit": "Must be between 1 and 2,147,483,647."},
    ),
    "parse_error": Problem(
        400, "The body is not JSON",
        "The body cannot be read as JSON, is nested too deeply, or has strings that are no text, such as NUL.",
        "Send JSON in UTF-8. Most often something was cut off or quoted twice on the way.",
        "JSON parse error - Expecting value: line 1 column 1 (char 0)",
    ),
    "invalid_request": Problem(
        400, "The check is not valid",
        "The check API refuses the body or a header: a field is missing, unknown, too long or of another type.",
        "`errors` names the fields. The check was not counted.",
        "the body is not valid", {"cost": "expected `int` >= 1"},
    ),
    "unauthenticated": Problem(
        401, "Nobody knows who asks",
        "There is no API key or token with the request, or it is malformed, unknown, revoked or expired.",
        "Send an API key as `Authorization: Bearer rl_…` or `X-API-Key: rl_…`, one of the two. Look on the keys page "
        "whether the key has ended.",
        "the API key is unknown, revoked or expired",
    ),
    "token_invalid": Problem(
        401, "The token is not valid",
        "An access token lives for five minutes, and ends earlier with its login, a new password or a "
        "disabled account.",
        "Get a new one with the refresh token at `POST /api/v1/token/refresh`; where that is refused, log in again.",
        "The token is not valid, or not any more.",
    ),
    "login_wrong": Problem(
        401, "The login is not right",
        "E-mail address and password do not belong together, or the account is disabled. Which of it is not said.",
        "Check both. The password can be reset on the login page.",
        "The e-mail address or the password is not right.",
    ),
    "code_needed": Problem(
        401, "The login has a second step", "The account asks for a code of an authenticator app beside the password.",
        "Send the request again with the `code` that the app shows, or with a recovery code.",
        "This account has a second step: send a code with it.",
    ),
    "code_wrong": Problem(
        401, "The code is not right", "The code of the login’s second step is wrong, too old or was used already.",
        "Wait for the app’s next code. Is the device’s clock right?", "The code is not right.",
    ),
    "plan_quota_exhausted": Problem(
        402, "The plan’s checks are used up",
        "The period’s checks, or those within the spend cap, are used up. It says nothing about who was checked.",
        "Let the request pass on your side. Raise the spend cap or change the plan on the plan’s page.",
        "the plan's checks of this period are used up",
    ),
    "forbidden": Problem(
        403, "The credential may not do this",
        "The key lacks a scope or the role a permission, or the organisation is suspended.",
        "`detail` names what is missing. Use a key with that scope, or ask an owner or admin of the organisation.",
        "this API key lacks the scope “admin”",
    ),
    "plan_forbids": Problem(
        403, "The plan does not include it",
        "What was asked for is part of a larger plan: a type of rule, or a kind of channel.",
        "`detail` names the cheapest plan that has it; plans are changed in the portal.",
        "Rules of type “custom” are not part of the Free plan. The Professional plan has them.",
    ),
    "signature_wrong": Problem(
        403, "The report is not signed as it should be",
        "A report of leaked keys has no signature of a scanner that we know.",
        "For secret scanners only: sign the body with the key whose public half we were given.",
        "The signature is not right.",
    ),
    "not_found": Problem(
        404, "There is nothing by that name",
        "There is no such thing, or it is another organisation’s: the answer is the same.",
        "Look the id up in the list. A token of somebody with several organisations names one in `RL-Tenant`.",
        "There is nothing here by that name.",
    ),
    "tenant_not_found": Problem(
        404, "There is no such organisation",
        "The organisation was deleted, or never was.",
        "Check the name. A deleted organisation comes back within 30 days only, by its owner.",
        "there is no tenant 4711",
    ),
    "method_not_allowed": Problem(
        405, "That method does not work here",
        "The address exists and knows other methods.",
        "`/api/docs` lists the methods of each address.",
        'Method "DELETE" not allowed.',
    ),
    "conflict": Problem(
        409, "It cannot be done as things are",
        "What was asked for does not go with the state that things are in: the last owner would be gone, a key has "
        "ended, there are as many as there may be.",
        "`detail` says what is in the way. Change that first.",
        "An organisation keeps at least one owner.",
    ),
    "too_many_rules": Problem(
        409, "There are as many rules as there can be", "An organisation has at most 100 rules.",
        "Delete those that are no longer needed, or let one rule say what several do.",
        "There can be 100 rules; delete one that is no longer needed.",
    ),
    "too_many_overrides": Problem(
        409, "There are as many overrides as there can be",
        "A rule has at most 1,000 overrides of 64 different lengths of prefixes and blocks, an organisation 10,000.",
        "Delete those that are over, or say with a prefix or a block what many single values say.",
        "A rule can have 1,000 overrides; delete some that are over.",
    ),
    "no_cell": Problem(
        409, "There is no room for another organisation", "The place for new organisations is full at this moment.",
        "A new one is being made. Try again in a minute.",
        "There is no room for another organisation right now; a new cell is being made.",
    ),
    "already_counted": Problem(
        409, "There is something counted already", "Sample data goes into an organisation without any only.",
        "For operators: take another organisation.", "There are checks already.",
    ),
    "invitation_used": Problem(
        409, "The invitation has been used", "An invitation works once.",
        "Log in: whoever accepted it is a member. Otherwise ask for a new one.",
        "This invitation has been used already.",
    ),
    "invitation_revoked": Problem(
        409, "The invitation was taken back", "Somebody of the organisation revoked it.", "Ask them for a new one.",
        "This invitation has been taken back.",
    ),
    "invitation_expired": Problem(
        409, "The invitation has ended", "An invitation works for seven days.", "Ask for a new one.",
        "This invitation ended on 3 March 2030.",
    ),
    "idempotency_in_flight": Problem(
        409, "The same request is under way", "The first request with this Idempotency-Key has not been answered yet.",
        "Wait a moment and send it again; then it gets the first one’s answer.",
        "A request with this Idempotency-Key is under way; ask again in a moment.",
    ),
    "precondition_failed": Problem(
        412, "It has been changed meanwhile",
        "`If-Match` names a state that is not the present one: somebody else was faster.",
        "GET it again, look at what is different, and send the change with the new ETag.",
        "It has been changed since you read it. Read it again, then change it.",
    ),
    "too_large": Problem(
        413, "The body is too large", "A check has at most 16 KiB, a body of the admin API 2.5 MB.",
        "Send less at once, for instance overrides rule by rule.", "the body is larger than 2,621,440 bytes",
    ),
    "idempotency_key_reused": Problem(
        422, "The Idempotency-Key belongs to another request",
        "Within 24 hours the key was used with another address or body. Nothing was done.",
        "Make a new key for each thing to be done, and use it again only to repeat exactly that.",
        "This Idempotency-Key was used for another request. Use a new one for each thing to be done.",
    ),
    "idempotency_mismatch": Problem(
        422, "The Idempotency-Key belongs to another check", "The key came with another body before.",
        "Make a new key for each check. It was not counted.", "this Idempotency-Key came with another body before",
    ),
    "search_too_long": Problem(
        422, "The search would take too long", "Something rare was searched for in a long range.",
        "Narrow the range, or name more of what is searched for.", "This search takes too long.",
    ),
    "precondition_required": Problem(
        428, "If-Match is missing", "PUT, PATCH and DELETE want to know which state is changed.",
        "Send the ETag of a GET in `If-Match`, or `*` to change whatever is there.",
        "Say in If-Match which state you change: the ETag that a GET answers, or * for any.",
    ),
    "rate_limited": Problem(
        429, "Too many requests",
        "The credential or the organisation asked the admin API more often than the product’s own limits allow. Checks "
        "are not concerned.",
        "Wait as many seconds as `Retry-After` says. `RateLimit` in every answer says what is left.",
        "api-credential allows 600 requests a minute; wait as Retry-After says.",
    ),
    "logins_too_many": Problem(
        429, "Too many failed logins", "The account or the network has failed too often lately; nothing was looked at.",
        "Wait a minute and more. Programs that only read use an API key.",
        "There were too many failed logins. Try again later.",
    ),
    "headers_too_large": Problem(
        431, "The headers are too large", "A check has at most 64 headers, of 16 KiB together.",
        "Pass no cookies and the like on to the check API.", "a request may have 64 headers and 16384 bytes of them",
    ),
    "internal": Problem(
        500, "This service made a mistake", "It has been recorded, and somebody looks at it.",
        "Try again. Let the request pass on your side meanwhile, or not, as you prefer.",
        "this server made a mistake; it has been recorded",
    ),
    "unavailable": Problem(
        503, "This service cannot judge right now",
        "What is needed to decide cannot be reached. It says nothing about the one who was checked.",
        "Let the request pass on your side, or not, as you prefer. Ask again after `Retry-After`.",
        "this service cannot judge right now",
    ),
}  # fmt: skip
