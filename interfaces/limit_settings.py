"""Settings of what a gateway lets clients do. The values are the limits of each gateway process."""

from typing import Final

import msgspec

from interfaces.setting import Setting

LIMIT_SETTINGS: Final = (
    Setting(
        "connections_per_address",
        "KEFU_CONNECTIONS_PER_ADDRESS",
        5_000,
        "WebSockets open at once from one address (IPv6: /64), a gateway process; 0: any number.",
        zero=True,
    ),
    Setting(
        "connects_per_s",
        "KEFU_CONNECTS_PER_S",
        100.0,
        "New WebSockets a second from one address, a gateway process; at once 10 times as many; "
        "0: any number.",
        zero=True,
    ),
    Setting(
        "admissions_per_s",
        "KEFU_ADMISSIONS_PER_S",
        1_000.0,
        "New WebSockets a second from all addresses, a gateway process; at once 5 times as many; "
        "whoever comes too many is told in `Retry-After` when to come back; 0: any number.",
        zero=True,
    ),
    Setting(
        "address_messages_per_s",
        "KEFU_ADDRESS_MESSAGES_PER_S",
        2_000.0,
        "WebSocket messages a second from one address, a gateway process; at once 5 times as many; "
        "0: any number.",
        zero=True,
    ),
    Setting(
        "contact_messages_per_s",
        "KEFU_CONTACT_MESSAGES_PER_S",
        200.0,
        "WebSocket messages a second from one contact, as above.",
        zero=True,
    ),
    Setting(
        "agent_messages_per_s",
        "KEFU_AGENT_MESSAGES_PER_S",
        500.0,
        "WebSocket messages a second from one agent, as above.",
        zero=True,
    ),
    Setting(
        "control_frames_per_s",
        "KEFU_CONTROL_FRAMES_PER_S",
        5.0,
        "Pings and pongs a second from one connection; at once 5 times as many; 0: any number.",
        zero=True,
    ),
    Setting(
        "handshake_s",
        "KEFU_HANDSHAKE_S",
        10.0,
        "Time in s for a client's handshake, from the connection to the answer.",
        most=600,
    ),
    Setting(
        "message_s",
        "KEFU_MESSAGE_S",
        30.0,
        "Time in s from a message's first byte to its last.",
        most=600,
    ),
)


class LimitSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The limits; see `LIMIT_SETTINGS` for meanings and defaults."""

    connections_per_address: int
    connects_per_s: float
    admissions_per_s: float
    address_messages_per_s: float
    contact_messages_per_s: float
    agent_messages_per_s: float
    control_frames_per_s: float
    handshake_s: float
    message_s: float
