"""The simulated SunSpec device refuses what a real one refuses."""

from pymodbus.constants import ExcCodes
import pytest

from simulators.house import House
from simulators.sunspec import SunSpecDevice, encode_model, inverter_points, solar_device

# Lengths of the data of each model, from its definition.
LENGTHS = {
    1: 66,
    **dict.fromkeys((101, 102, 103), 50),
    **dict.fromkeys((111, 112, 113), 60),
    2: 14,
    124: 24,
    160: 88,
    302: 5,
    303: 1,
    304: 6,
    306: 4,
    307: 11,
    308: 4,
    402: 48,
    403: 32,
    **dict.fromkeys((201, 202, 203, 204), 105),
    **dict.fromkeys((211, 212, 213, 214), 124),
    701: 153,
    713: 7,
    802: 62,
}


@pytest.mark.parametrize("model", LENGTHS)
def test_a_model_is_as_long_as_its_definition(model: int) -> None:
    words = encode_model(model, {})

    assert words[:2] == [model, LENGTHS[model]]
    assert len(words) == LENGTHS[model] + 2


def test_a_point_that_the_model_does_not_have_is_a_mistake() -> None:
    with pytest.raises(KeyError, match="model 203 has no Volts"):
        encode_model(203, {"Volts": 230})


def test_the_list_of_models_begins_and_ends_as_it_should() -> None:
    words = solar_device(1, House()).words()

    assert words[:4] == [0x5375, 0x6E53, 1, 66]
    assert words[-2:] == [0xFFFF, 0]


@pytest.mark.parametrize(
    ("function", "address", "count", "answer"),
    [
        (4, 40000, 2, ExcCodes.ILLEGAL_FUNCTION),
        (3, 39999, 2, ExcCodes.ILLEGAL_ADDRESS),
        (3, 40000, 126, ExcCodes.ILLEGAL_VALUE),
        (3, 40070, 3, ExcCodes.ILLEGAL_ADDRESS),
        (3, 40070, 2, [0xFFFF, 0]),
        (3, 40000, 2, [0x5375, 0x6E53]),
    ],
)
def test_requests_are_served_within_the_list_only(
    function: int, address: int, count: int, answer: list[int] | ExcCodes
) -> None:
    assert SunSpecDevice(1, []).answer(function, address, count) == answer


def test_an_inverter_sleeps_at_night() -> None:
    night = House(starts_at_s=0.0, clock=lambda: 0.0).solar()
    day = House(starts_at_s=43200.0, clock=lambda: 0.0).solar()

    assert inverter_points(night)["St"] == 2
    assert inverter_points(day)["St"] == 4
