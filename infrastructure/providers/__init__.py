"""Participants of sagas over HTTP: payment providers and ERPs, described by a profile."""
