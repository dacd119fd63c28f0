"""Commands whose modules are loaded when they are named, so that nothing waits for the others'."""

from importlib import import_module
from typing import Any, ClassVar

import typer.main
from typer.core import TyperGroup


class LazyGroup(TyperGroup):
    """A group with more commands than those it was made with.

    A role's process starts through the command line too, and most of a start is imports.
    """

    modules: ClassVar[dict[str, str]] = {}
    """Name of a command -> module with its `app`, which adds no completion: the outermost does."""

    def list_commands(self, ctx: Any) -> list[str]:
        """As click's; the lazy ones last."""
        return [*dict.fromkeys((*super().list_commands(ctx), *self.modules))]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """As click's; loads a lazy one's module."""
        if cmd_name in self.modules and cmd_name not in self.commands:
            app: typer.Typer = import_module(self.modules[cmd_name]).app
            self.add_command(typer.main.get_command(app), cmd_name)
        return super().get_command(ctx, cmd_name)
