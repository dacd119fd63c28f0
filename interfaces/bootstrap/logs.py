"""Logging of every process."""

from infrastructure.telemetry import logs

configure_logs = logs.configure
