"""COMTRADE recordings as waveforms of the platform.

The file is read by the `comtrade` library (IEEE C37.111, IEC 60255-24); it ships no types, so
what is used of it stands here as a protocol.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from itertools import pairwise
from pathlib import Path
import re
import struct
from typing import Protocol, cast

from .payload import Channel

_PHASES = {"A": "AN", "B": "BN", "C": "CN", "N": "N", "AB": "AB", "BC": "BC", "CA": "CA"}
_PREFIXES = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "m": 1e-3}
_MICROSECONDS = 1_000_000


class _AnalogChannel(Protocol):
    name: str
    ph: str
    uu: str
    a: float


class _Configuration(Protocol):
    analog_channels: Sequence[_AnalogChannel]
    sample_rates: Sequence[Sequence[float]]


class _Recording(Protocol):
    cfg: _Configuration
    analog: Sequence[Sequence[float]]
    time: Sequence[float]
    start_timestamp: datetime
    trigger_timestamp: datetime

    def load(self, cfg_file: str, dat_file: str | None = None) -> object: ...


class WaveformFileError(Exception):
    """The file is no readable COMTRADE recording."""


@dataclass(frozen=True, kw_only=True)
class Waveform:
    """What a recording holds; `sample_rate` in Hz, times in epoch milliseconds."""

    start_at_ms: int
    first_event_at_ms: int
    sample_rate: float
    channels: Sequence[Channel]


def read_comtrade(path: Path, zone: tzinfo) -> Waveform:
    """Return the analog channels of a COMTRADE file (.cfg with its .dat, or .cff).

    COMTRADE times carry no zone; they are taken to be in `zone`. Blocking: it reads files.
    Raises `WaveformFileError`.
    """
    import comtrade  # type: ignore[import-untyped]  # noqa: PLC0415  only waveforms need it

    recording = cast("_Recording", comtrade.Comtrade(ignore_warnings=True))
    data = path.with_suffix(".dat" if path.suffix.islower() else ".DAT")
    try:
        recording.load(str(path), None if path.suffix.lower() == ".cff" else str(data))
        return _waveform(recording, zone)
    except (
        comtrade.ComtradeError,
        OSError,
        ValueError,
        IndexError,
        TypeError,
        struct.error,
    ) as err:
        raise WaveformFileError(str(err)) from err


def _waveform(recording: _Recording, zone: tzinfo) -> Waveform:
    analog = recording.cfg.analog_channels
    if not analog or len(recording.time) < 2:
        raise ValueError("no analog samples")
    offsets = [round(seconds * _MICROSECONDS) for seconds in recording.time]
    if any(later <= earlier for earlier, later in pairwise(offsets)):
        # The reader fills up what the configuration promises and the data lacks with zeros.
        raise ValueError("the data file is shorter than the configuration says")
    channels = [
        _channel(channel, offsets, values)
        for channel, values in zip(analog, recording.analog, strict=True)
    ]
    rate = recording.cfg.sample_rates[0][0] if recording.cfg.sample_rates else 0.0
    if not rate:  # the file times each sample itself
        rate = (len(offsets) - 1) * _MICROSECONDS / (offsets[-1] - offsets[0])
    return Waveform(
        start_at_ms=_epoch_ms(recording.start_timestamp, zone),
        first_event_at_ms=_epoch_ms(recording.trigger_timestamp, zone),
        sample_rate=float(rate),
        channels=channels,
    )


def _epoch_ms(instant: datetime, zone: tzinfo) -> int:
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=zone)
    return round(instant.timestamp() * 1000)


def _channel(channel: _AnalogChannel, offsets: Sequence[int], values: Sequence[float]) -> Channel:
    """Return one channel in V or A where phase and unit tell it, else as the file has it."""
    step = abs(channel.a) or 1.0  # the file's own resolution keeps the numbers whole
    phase = _PHASES.get(channel.ph.strip().upper())
    prefix, base = channel.uu.strip()[:-1], channel.uu.strip()[-1:].upper()
    if phase and base in ("V", "A") and prefix in _PREFIXES:
        name, scale = f"{'V' if base == 'V' else 'I'}_{phase}", _PREFIXES[prefix]
    else:
        name, scale = re.sub(r"[^A-Za-z0-9_]+", "_", channel.name.strip()) or "CHANNEL", 1.0
    return Channel(
        name=name,
        sample_factor=step * scale,
        samples=[
            (offset, round(value / step)) for offset, value in zip(offsets, values, strict=True)
        ],
    )
