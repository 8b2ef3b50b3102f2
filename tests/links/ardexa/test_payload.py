"""What Ardexa's answers say, in every shape that they may have."""

from typing import Any

import pytest

from custom_components.grid_telemetry.links.ardexa.payload import (
    Device,
    Field,
    Scenario,
    ShapeError,
    device_id_of,
    device_of,
    devices_of,
    error_of,
    rejection_of,
    speaks_of_permission,
)

from .conftest import META

DEVICE = {"id": "a", "name": "Gateway"}


@pytest.mark.parametrize(
    "answer",
    [
        [DEVICE],
        {"devices": [DEVICE]},
        {"data": [DEVICE]},
        {"a": {"name": "Gateway"}},
        [{"cn": "CN=a,O=dev", "displayName": "Gateway"}],
        [{"deviceId": "a", "settings": {"name": "Gateway"}}],
    ],
)
def test_devices_are_found_in_every_shape(answer: object) -> None:
    assert devices_of(answer) == {"a": Device(id="a", name="Gateway")}


@pytest.mark.parametrize("answer", [None, "text", {"error": "x"}, [1], [{}], [{"id": ""}]])
def test_what_is_no_list_of_devices_is_refused(answer: object) -> None:
    with pytest.raises(ShapeError):
        devices_of(answer)


def test_a_device_without_name_has_its_id_for_one() -> None:
    device = device_of({"id": "a", "cn": "CN=a,O=dev", "online": False})
    assert device == Device(id="a", name="a", online=False)


def test_scenarios_are_read_with_their_anchors_and_units() -> None:
    device = device_of(
        {
            **DEVICE,
            "agentVersion": "1.5",
            "meta": META,
            "settings": {
                "externalMeta": [
                    {"table": "t", "source": "s", "fields": ["x", {"name": "y", "unit": "A"}, 7]},
                    {"table": "t"},
                    "text",
                ]
            },
        }
    )
    assert device.agent_version == "1.5"
    cpu, inverter, external = device.scenarios
    assert cpu == Scenario(table="data", source="cpu_usage", expect="decimal", unit="percentage")
    assert [field.name for field in inverter.fields] == ["AC Power", "Energy", "Running", "Note"]
    assert inverter.fields[0] == Field(name="AC Power", expect="decimal", unit="W")
    assert external.fields == (Field(name="x"), Field(name="y", unit="A"))
    assert device.scenario("t", "s") == external
    assert device.scenario("t", "other") is None


@pytest.mark.parametrize("meta", [None, "text", {"run": "text"}, {"tail": [{"fields": 7}]}, []])
def test_metadata_of_another_shape_is_none(meta: object) -> None:
    assert device_of({**DEVICE, "meta": meta}).scenarios == ()


def test_an_unknown_anchor_is_no_field() -> None:
    meta = {"tail": [{"table": "t", "source": "s", "expect": "csv", "fields": "nowhere"}]}
    [scenario] = device_of({**DEVICE, "meta": meta}).scenarios
    assert scenario.fields_of(None) == []


@pytest.mark.parametrize(
    ("common_name", "device_id"),
    [
        ("CN=3dcf4324-3c0a-40bc-8d13-5d5bbbcf229e,O=dev", "3dcf4324-3c0a-40bc-8d13-5d5bbbcf229e"),
        ("O=dev, CN=a", "a"),
        ("OCN=a", None),
        (None, None),
    ],
)
def test_the_device_is_in_its_common_name(common_name: object, device_id: str | None) -> None:
    assert device_id_of(common_name) == device_id


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"requestId": "x", "result": "success"}, None),
        ({"error": None}, None),
        ({"error": "Internal error occurred", "requestId": "x"}, "Internal error occurred"),
        ({"result": "error", "error": {"message": "ERROR. 2147."}}, "ERROR. 2147."),
        ({"result": "error"}, "no reason given"),
        ({"error": {"code": 7}}, "7"),
        ({"error": {"other": 7}}, "{'other': 7}"),
        ({"error": True}, "True"),
    ],
)
def test_errors_of_every_shape_are_read(answer: dict[str, Any], error: str | None) -> None:
    assert error_of(answer) == error


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("Connection error", "Connection error"),
        (None, "no reason given"),
        ({"message": "No", "data": {"message": "Because"}}, "No (Because)"),
        ({"message": "No", "data": {"message": "No"}}, "No"),
        ({"message": "No", "data": "Because"}, "No (Because)"),
        ({"data": {"reason": "Because"}}, "no reason given (Because)"),
        ({"message": "No", "data": [1]}, "No ([1])"),
    ],
)
def test_rejections_of_every_shape_are_read(data: object, text: str) -> None:
    assert rejection_of(data) == text


def test_words_about_rights_are_told_from_others() -> None:
    assert speaks_of_permission("You need the Control Devices privilege")
    assert speaks_of_permission("Forbidden")
    assert not speaks_of_permission("Device is offline")
