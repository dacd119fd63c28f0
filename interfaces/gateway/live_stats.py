"""What a process has done for its WebSockets."""

from collections import Counter


class LiveStats:
    """Plain numbers that a metrics collector reads."""

    def __init__(self) -> None:
        self.connections = 0
        self.opened = 0
        self.frames_in = 0
        self.frames_out = 0
        self.errors: Counter[str] = Counter()
