"""A link with delay, jitter, loss and a cut, between two network namespaces, without netem.

Run it as root inside a network namespace of its own (`unshare --net`): it makes another one beside
it, and a TUN device in each. What one device is sent, it gives to the other, late or never.
"""

import ctypes
import fcntl
import heapq
import os
import random
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from selectors import EVENT_READ, DefaultSelector
from typing import Final

HERE: Final = "10.77.0.1"
THERE: Final = "10.77.0.2"

_TUNSETIFF: Final = 0x400454CA
_IFF_TUN_NO_PI: Final = 0x1001
_CLONE_NEWNET: Final = 0x40000000
_LONGEST_PACKET: Final = 65_536


class BadLink:
    """Carries packets in a thread; what it does may be changed at any time.

    Times are seconds. Jitter may change the order of packets, as on a real link.
    """

    def __init__(self, devices: tuple[int, int]) -> None:
        self.delay_s = 0.0
        self.jitter_s = 0.0
        self.loss = 0.0
        self.cut = False
        self.carried = 0
        self.lost = 0
        self._devices = devices
        self._random = random.Random(7)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._carry, name="bad-link")
        self._thread.start()

    def end(self) -> None:
        """Carry nothing more."""
        self._ended.set()
        self._thread.join()

    def _carry(self) -> None:
        on_the_way: list[tuple[float, int, int, bytes]] = []
        with DefaultSelector() as selector:
            for device, other in (self._devices, self._devices[::-1]):
                selector.register(device, EVENT_READ, other)
            while not self._ended.is_set():
                wait_s = on_the_way[0][0] - time.monotonic() if on_the_way else 0.05
                for key, _ in selector.select(min(0.05, max(0.0, wait_s))):
                    packet = os.read(key.fd, _LONGEST_PACKET)
                    if self.cut or self._random.random() < self.loss:
                        self.lost += 1
                        continue
                    self.carried += 1
                    late_s = self.delay_s + self._random.uniform(-self.jitter_s, self.jitter_s)
                    at = time.monotonic() + max(0.0, late_s)
                    heapq.heappush(on_the_way, (at, self.carried, key.data, packet))
                while on_the_way and on_the_way[0][0] <= time.monotonic():
                    _, _, device, packet = heapq.heappop(on_the_way)
                    if not self.cut:
                        os.write(device, packet)


@contextmanager
def bad_link() -> Iterator[tuple[BadLink, int]]:
    """A link from this namespace, where this side is `HERE`, to another, where it is `THERE`.

    Yields:
        The link, perfect at first, and the id of a process that lives in the other namespace.
    """
    # Its child has its namespace before it says so.
    ready = "echo && exec cat"
    other = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", ready], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdin is not None
    assert other.stdout is not None
    devices: list[int] = []
    try:
        other.stdout.readline()
        devices = [_tun("kefu-here"), _tun("kefu-there")]
        _ip("link", "set", "kefu-there", "netns", str(other.pid))
        inside = ("nsenter", f"--net=/proc/{other.pid}/ns/net", "--")
        _device_up("kefu-here", HERE, THERE)
        _device_up("kefu-there", THERE, HERE, inside)
        link = BadLink((devices[0], devices[1]))
        try:
            yield link, other.pid
        finally:
            link.end()
    finally:
        for device in devices:
            os.close(device)
        other.stdin.close()
        other.stdout.close()
        other.wait()


def enter(pid: int) -> None:
    """Put this thread into the network namespace of a process; sockets of before stay where they
    were.
    """
    namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(namespace, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(namespace)


def _tun(name: str) -> int:
    device = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN_NO_PI))
    return device


def _device_up(name: str, own: str, peer: str, inside: tuple[str, ...] = ()) -> None:
    _ip("address", "add", f"{own}/32", "peer", f"{peer}/32", "dev", name, inside=inside)
    _ip("link", "set", name, "up", inside=inside)


def _ip(*words: str, inside: tuple[str, ...] = ()) -> None:
    subprocess.run([*inside, "ip", *words], check=True, timeout=10)
