"""Read models in Postgres: the embedded server, schemas, and the views' writer and reader."""
