"""Codes and flags of STTP: IEEE 2664-2024, and its pre-standard form where peers speak it."""

from enum import IntEnum, IntFlag
from typing import Final

DEFAULT_PORT: Final = 7165
# Versions 1 to 3 are the pre-standard ones that every known implementation speaks.
VERSIONS: Final = range(1, 4)
# The reference splits what it sends at this many bytes of measurements; its peers expect no more.
MAX_PACKET: Final = 32_768
NOOP_INTERVAL_S: Final = 5.0


class ServerCommand(IntEnum):
    """Server command codes, subscriber to publisher."""

    CONNECT = 0x00
    METADATA_REFRESH = 0x01
    SUBSCRIBE = 0x02
    UNSUBSCRIBE = 0x03
    ROTATE_CIPHER_KEYS = 0x04
    UPDATE_PROCESSING_INTERVAL = 0x05
    DEFINE_OPERATIONAL_MODES = 0x06
    CONFIRM_NOTIFICATION = 0x07
    CONFIRM_BUFFER_BLOCK = 0x08
    CONFIRM_UPDATE_BASE_TIMES = 0x09
    CONFIRM_UPDATE_SIGNAL_INDEX_CACHE = 0x0A
    CONFIRM_UPDATE_CIPHER_KEYS = 0x0B
    GET_PRIMARY_METADATA_SCHEMA = 0x0C
    GET_SIGNAL_SELECTION_SCHEMA = 0x0D


USER_COMMANDS: Final = range(0xD0, 0xE0)
"""The commands 0 to 15 whose meaning publisher and subscriber agree on themselves."""


class ServerResponse(IntEnum):
    """Server response codes, publisher to subscriber."""

    SUCCEEDED = 0x80
    FAILED = 0x81
    DATA_PACKET = 0x82
    UPDATE_SIGNAL_INDEX_CACHE = 0x83
    UPDATE_BASE_TIMES = 0x84
    UPDATE_CIPHER_KEYS = 0x85
    DATA_START_TIME = 0x86
    PROCESSING_COMPLETE = 0x87
    BUFFER_BLOCK = 0x88
    NOTIFY = 0x89
    CONFIGURATION_CHANGED = 0x8A
    NOOP = 0xFF


class ModeFlags(IntFlag):
    """Bits of the operational modes beside version and encoding."""

    GZIP = 0x0000_0020
    TSSC = 0x0000_0040
    RECEIVE_EXTERNAL_METADATA = 0x0200_0000
    RECEIVE_INTERNAL_METADATA = 0x0400_0000
    COMPRESS_PAYLOAD_DATA = 0x2000_0000
    COMPRESS_SIGNAL_INDEX_CACHE = 0x4000_0000
    COMPRESS_METADATA = 0x8000_0000


VERSION_MASK: Final = 0x0000_001F
ENCODING_MASK: Final = 0x0000_0300


class DataPacketFlags(IntFlag):
    """First byte of a data packet."""

    SYNCHRONIZED = 0x01
    COMPACT = 0x02
    CIPHER_INDEX = 0x04
    COMPRESSED = 0x08
    CACHE_INDEX = 0x10


class StateFlags(IntFlag):
    """Quality of a measurement, 32 bits (IEEE 2664 measurement state flags)."""

    NORMAL = 0
    BAD_DATA = 0x1
    SUSPECT_DATA = 0x2
    OVER_RANGE_ERROR = 0x4
    UNDER_RANGE_ERROR = 0x8
    ALARM_HIGH = 0x10
    ALARM_LOW = 0x20
    WARNING_HIGH = 0x40
    WARNING_LOW = 0x80
    FLATLINE_ALARM = 0x100
    COMPARISON_ALARM = 0x200
    ROC_ALARM = 0x400
    RECEIVED_AS_BAD = 0x800
    CALCULATED_VALUE = 0x1000
    CALCULATION_ERROR = 0x2000
    CALCULATION_WARNING = 0x4000
    RESERVED_QUALITY_FLAG = 0x8000
    BAD_TIME = 0x1_0000
    SUSPECT_TIME = 0x2_0000
    LATE_TIME_ALARM = 0x4_0000
    FUTURE_TIME_ALARM = 0x8_0000
    UP_SAMPLED = 0x10_0000
    DOWN_SAMPLED = 0x20_0000
    DISCARDED_VALUE = 0x40_0000
    RESERVED_TIME_FLAG = 0x80_0000
    USER_DEFINED_FLAG_1 = 0x100_0000
    USER_DEFINED_FLAG_2 = 0x200_0000
    BASE_TIME_OFFSET = 0x400_0000
    TIME_INDEX = 0x800_0000
    SIMULATED_DATA = 0x1000_0000
    SYSTEM_ERROR = 0x2000_0000
    SYSTEM_WARNING = 0x4000_0000
    MEASUREMENT_ERROR = 0x8000_0000
