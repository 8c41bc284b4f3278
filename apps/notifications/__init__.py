"""From something that happened to somebody who hears of it.

`kinds` is the table of what can be said, and `services.notify` says it: a notice, and a delivery for every channel
that `audience` finds. `delivering` takes deliveries of one channel in their order, with `quiet` hours and
`rendering`; `channels` has a file for each medium, `outbound` the HTTP that reaches customers' addresses, and
`outcomes` decides what comes of a try. `house` is the part that lives in the shared schema: lanes, which say who may
deliver now, and staff's announcements. `channel_services`, `preferences` and `muting` are what members change,
`selectors` and `log` what they read.
"""
