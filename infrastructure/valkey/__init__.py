"""Valkey or Redis: passing things between gateways of several machines (ADR 0014)."""
