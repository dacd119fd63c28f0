"""Keys of data subjects: for the core, which makes and destroys them, and for those who read."""

from pathlib import Path

from application.sealing import Opener
from infrastructure.keys import rotation
from infrastructure.keys.master import CommandSource, EnvironmentSource, FileSource, MasterKeys
from infrastructure.keys.master import MasterKeySource as MasterKeySource
from infrastructure.keys.reader import KeyReader
from infrastructure.keys.signing import FileSigner
from infrastructure.keys.store import SubjectKeyStore
from interfaces.settings import Settings


def master_key_source(settings: Settings) -> MasterKeySource:
    """Where the master key comes from."""
    if settings.master_key is not None:
        return EnvironmentSource(settings.master_key)
    if settings.master_key_command is not None:
        path = settings.master_key_file or settings.key_dir / "master.wrapped"
        return CommandSource(settings.master_key_command, Path(path))
    return FileSource(Path(settings.master_key_file or settings.key_dir / "master.key"))


def subject_keys(settings: Settings) -> SubjectKeyStore:
    """The core's store of keys; makes what is missing."""
    return SubjectKeyStore(settings.key_dir, master_key_source(settings))


def certificate_signer(settings: Settings) -> FileSigner:
    """The key that signs certificates of erasure."""
    return FileSigner(settings.key_dir / "certificates.ed25519")


def opener(settings: Settings) -> Opener:
    """Opens personal fields in any process; touches no file before there is one to open."""
    source = master_key_source(settings)
    return Opener(KeyReader(settings.key_dir, lambda: MasterKeys(source)))


def rotate_master_key(settings: Settings, progress: rotation.Progress) -> rotation.RotationReport:
    """Wrap all keys anew."""
    return rotation.rotate(settings.key_dir, master_key_source(settings), progress)
