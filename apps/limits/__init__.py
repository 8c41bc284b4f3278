"""Rules and overrides: written by people, files and programs, published to the doors.

`specs`, `matches` and `overrides` say what is valid, `services` and `override_services` change it, `publishing` and
`quotas` bring it to the doors. Files and JSON: `rules_file` reads, `rules_export` and `rules_json` write, `planning`
says what applying would do. For people: `sentences`, `algorithms`, `attention`, `headers`, `finding`. `judge` asks the
engine inside of Django: for the check API there, for `replay`, and in `own` for the product's own limits.
"""
