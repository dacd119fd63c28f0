"""A segmented, append-only event log: one writer, many readers, fsync before acknowledging.

Modules: `format` (bytes), `segment` (files), `recovery` (opening what is there), `sealing`,
`index` over `table` and `merging` (a cache), `writer` (group commit), with `group`, `committer` and
`indexing`; `reader` (any process), `store` (the core's view), `recorder` (the `eventsourcing`
persistence module), `operations` (verify, salvage, info).
The bytes are drawn in docs/formats/segment.md.
"""
