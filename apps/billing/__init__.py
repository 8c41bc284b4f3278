"""From counted checks to money.

`ledger` posts settled hours, `rating` and `money` make bills of them, `periods` and `terms` say for when and at what
price. `overage` writes what is to be told to Stripe and `telling` tells it; `settling` compares a period that is over
with what Stripe charged. `accounts` follows what Stripe says of subscriptions, `changes` asks for others, `giving`
gives money back, and `mirroring` fills dj-stripe's tables, which `mirror` installs and `invoices` reads. `metering`
feeds the doors' counters, `reconciliation` and `health` compare everybody's numbers. `notices`, `quota_notices` and
`spending` tell members, `happenings` everybody else. `gateways` and `webhooks` alone speak Stripe, and `sandbox` is
Stripe's stand-in, a program of its own.
"""
