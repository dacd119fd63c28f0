"""Settings of the master key, which wraps the keys of data subjects."""

from typing import Final

from domain.errors import InvalidInput
from interfaces.limit_settings import LimitSettings
from interfaces.setting import Setting

KEY_SETTINGS: Final = (
    Setting(
        "master_key",
        "KEFU_MASTER_KEY",
        None,
        "Master key of data subjects' keys: 32 bytes in base64; several, newest first, divided by "
        "commas. Unset: a file.",
    ),
    Setting(
        "master_key_file",
        "KEFU_MASTER_KEY_FILE",
        None,
        "File of the master key, one a line, newest first; unset: `keys/master.key` in the data "
        "directory, made at the first start.",
    ),
    Setting(
        "master_key_command",
        "KEFU_MASTER_KEY_COMMAND",
        None,
        "Command that wraps and unwraps the master key, asking a KMS; the file holds what it "
        "wrapped.",
    ),
)


class KeySettings(LimitSettings, frozen=True, kw_only=True):
    """Where the master key comes from."""

    master_key: str | None
    master_key_file: str | None
    master_key_command: str | None


def check_key_settings(settings: KeySettings) -> None:
    """Refuse two sources.

    Raises:
        InvalidInput: naming the variables.
    """
    if settings.master_key is None:
        return
    if settings.master_key_file is not None or settings.master_key_command is not None:
        raise InvalidInput(
            "KEFU_MASTER_KEY goes without KEFU_MASTER_KEY_FILE and KEFU_MASTER_KEY_COMMAND."
        )
