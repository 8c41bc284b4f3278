"""What was asked and what was decided: counted, kept, shown.

`ingest` takes events from the bus into the schema `analytics`, whose tables `tables` and `partitions` cut in time.
What a tenant sees goes through `models`: `selectors`, `breakdowns`, `events` and `burn` read it, `ranges` and
`rollups` say of when and from which table, `asking` reads what was asked of them, `charts`, `histogram`, `explaining`
and `identifiers` make it readable, and `replaying` asks what another rule had done. `health` is for operators,
`seeding` for demos.
"""
