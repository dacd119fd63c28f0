"""Tests that need a tool skip on a person's machine with the reason, and fail when CI=true."""

import os
import shutil

import pytest


def require(program: str) -> str:
    """Path of a program that a test needs."""
    path = shutil.which(program)
    if path is None:
        missing(f"{program} is not installed")
    assert path is not None
    return path


def missing(reason: str) -> None:
    """Something that a test needs is not there."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
