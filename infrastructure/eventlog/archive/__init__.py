"""Sealed segments in an archive: a directory or an S3-compatible store, compressed with zstd.

Modules: `object_store` (the port), `directory_store` and `s3_store` (its adapters), `location`
(which store a log uses), `manifest` (what is archived), `compression`, `cache` (reading through),
`archiver` (upload, verify), `expiry` (delete locally), `rebuild` (the manifest from the store),
`worker` (all of it in the background). The files are drawn in docs/formats/archive.md.
"""
