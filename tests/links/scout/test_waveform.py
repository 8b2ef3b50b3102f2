"""COMTRADE recordings become waveforms in the platform's terms."""

from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from custom_components.grid_telemetry.links.scout.waveform import WaveformFileError, read_comtrade

# Two voltages (one in kV) and a channel without a phase, 4 samples at 1 kHz, trigger after 2 ms.
CONFIGURATION = """\
Substation,REC1,1999
3,3A,0D
1,Voltage A,A,,V,0.5,0.0,0.0,-32767,32767,1,1,P
2,Current B,B,,kA,0.001,0.0,0.0,-32767,32767,1,1,P
3,Trip coil 1,,,mA,0.1,0.0,0.0,-32767,32767,1,1,P
50
1
1000,4
30/09/2024,11:00:00.000000
30/09/2024,11:00:00.002000
ASCII
1
"""
SAMPLES = """\
1,0,650,12,5
2,1000,-300,-7,6
3,2000,0,0,7
4,3000,24,3,8
"""


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "fault.cfg"
    path.write_text(CONFIGURATION)
    path.with_suffix(".dat").write_text(SAMPLES)
    return path


def test_channels_are_named_by_phase_and_keep_their_whole_numbers(recording: Path) -> None:
    waveform = read_comtrade(recording, UTC)
    assert [channel.name for channel in waveform.channels] == ["V_AN", "I_BN", "Trip_coil_1"]
    voltage, current, coil = waveform.channels
    assert voltage.sample_factor == 0.5
    assert voltage.samples == [(0, 650), (1000, -300), (2000, 0), (3000, 24)]
    assert current.sample_factor == pytest.approx(1.0)  # kA become A
    assert [value for _, value in current.samples] == [12, -7, 0, 3]
    assert coil.sample_factor == pytest.approx(0.1)
    assert waveform.sample_rate == 1000


def test_times_are_local_to_the_given_zone(recording: Path) -> None:
    waveform = read_comtrade(recording, ZoneInfo("Europe/Madrid"))
    assert waveform.start_at_ms == 1_727_686_800_000  # 09:00 UTC
    assert waveform.first_event_at_ms == waveform.start_at_ms + 2


def test_a_file_that_times_each_sample_gets_its_rate_from_them(recording: Path) -> None:
    recording.write_text(CONFIGURATION.replace("1\n1000,4\n", "0\n0,4\n"))
    assert read_comtrade(recording, UTC).sample_rate == pytest.approx(1000)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.with_suffix(".dat").unlink(),
        lambda path: path.write_text("not COMTRADE at all"),
        lambda path: path.with_suffix(".dat").write_text("1,0,1,2,3\n"),
        lambda path: path.write_text(CONFIGURATION.replace("3,3A,0D", "0,0A,0D")),
        lambda path: path.unlink(),
    ],
    ids=["no data file", "no configuration", "one sample", "no channels", "no file"],
)
def test_what_cannot_be_read_says_so(recording: Path, spoil: object) -> None:
    assert callable(spoil)
    spoil(recording)
    with pytest.raises(WaveformFileError):
        read_comtrade(recording, UTC)
