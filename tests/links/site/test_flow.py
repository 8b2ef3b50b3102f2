"""The steps of the site's entry."""

from pathlib import Path
from typing import Any

import aiohttp
from homeassistant.config_entries import SOURCE_USER, ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest

from custom_components.grid_telemetry.const import DOMAIN
from tools import centre

from .conftest import URL, Centre, group_file, site_entry


async def begin(hass: HomeAssistant) -> ConfigFlowResult:
    flows = hass.config_entries.flow
    result = await flows.async_init(DOMAIN, context={"source": SOURCE_USER})
    result = await flows.async_configure(result["flow_id"], {"next_step_id": "site"})
    assert result["type"] is FlowResultType.FORM
    return result


async def submit(
    hass: HomeAssistant, result: ConfigFlowResult, user_input: dict[str, Any]
) -> ConfigFlowResult:
    result = await hass.config_entries.flow.async_configure(result["flow_id"], user_input)
    await hass.async_block_till_done()
    return result


async def test_an_enrolment_text_carries_all(hass: HomeAssistant, publisher: Centre) -> None:
    publisher.publish(1, group_file())
    row = {"claim_id": "ABCD1234", "secret:token": "t"}
    text = centre.enrolment(publisher.key, URL, row)
    result = await submit(hass, await begin(hass), {"enrolment": f" {text[:40]}\n{text[40:]} "})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"] == {
        "kind": "site",
        "url": URL,
        "public_key": publisher.public_key,
        "interval_min": 60,
        "unattended": False,
        "variables": {"claim_id": "ABCD1234"},
        "secrets": {"token": "t"},
    }
    flows = hass.config_entries.flow
    again = await flows.async_init(DOMAIN, context={"source": SOURCE_USER})
    again = await flows.async_configure(again["flow_id"], {"next_step_id": "site"})
    assert (again["type"], again["reason"]) == (FlowResultType.ABORT, "already_configured")


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"url": "http://centre.example"}, {"url": "site_invalid_url"}),
        ({"public_key": "abc"}, {"public_key": "site_invalid_key"}),
        ({"public_key": "YWJj"}, {"public_key": "site_invalid_key"}),
        ({"enrolment": "gte1:nothing"}, {"enrolment": "site_invalid_enrolment"}),
        ({"enrolment": "gte1:e30"}, {"enrolment": "site_invalid_enrolment"}),
        (
            {"enrolment": "gte1:eyJ1cmwiOjEsInB1YmxpY19rZXkiOjF9"},
            {"enrolment": "site_invalid_enrolment"},
        ),
    ],
)
async def test_what_cannot_be_is_told_and_can_be_corrected(
    hass: HomeAssistant, publisher: Centre, changes: dict[str, str], errors: dict[str, str]
) -> None:
    publisher.publish(1, group_file())
    right = {"url": URL, "public_key": publisher.public_key}
    result = await submit(hass, await begin(hass), {**right, **changes})
    assert result["errors"] == errors
    result = await submit(hass, result, right)
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_what_the_centre_answers_is_tried(hass: HomeAssistant, publisher: Centre) -> None:
    right = {"url": URL, "public_key": publisher.public_key}
    result = await begin(hass)
    publisher.answer("", exc=aiohttp.ClientConnectionError("refused"))
    result = await submit(hass, result, right)
    assert result["errors"] == {"base": "site_unreachable"}
    assert result["description_placeholders"] == {"error": "refused"}
    for text, status, error in (
        ("", 404, "site_unreachable"),
        ("<html>", 200, "site_malformed"),
        ("{}", 200, "site_malformed"),
        ("x" * (2 * 1024 * 1024 + 1), 200, "site_malformed"),
        (publisher.bundle(0, group_file()), 200, "site_malformed"),
        (publisher.bundle(1, "site_file: 2"), 200, "site_file_faults"),
    ):
        publisher.answer(text, status)
        result = await submit(hass, result, right)
        assert result["errors"] == {"base": error}
    other = publisher.folder / "other.pem"
    centre.make_key(other)
    publisher.answer(centre.bundle(centre.read_key(other), 1, publisher.folder / "site"))
    result = await submit(hass, result, right)
    assert result["errors"] == {"base": "site_bad_signature"}
    publisher.publish(1, group_file())
    assert (await submit(hass, result, right))["type"] is FlowResultType.CREATE_ENTRY


async def test_the_address_can_be_changed_and_the_secrets_stay(
    hass: HomeAssistant, publisher: Centre
) -> None:
    publisher.publish(1, group_file())
    entry = site_entry(publisher.public_key, secrets={"token": "t"}, variables={"a": "b"})
    entry.add_to_hass(hass)
    result = await entry.start_reconfigure_flow(hass)
    shown = {str(key): key.description for key in result["data_schema"].schema}
    assert shown["url"] == {"suggested_value": URL}
    assert shown["enrolment"] is None
    result = await submit(
        hass, result, {"url": URL, "public_key": publisher.public_key, "interval_min": 5}
    )
    assert result["reason"] == "reconfigure_successful"
    assert entry.data["interval_min"] == 5
    assert entry.data["secrets"] == {"token": "t"}
    assert entry.data["variables"] == {"a": "b"}


# --- the command of the centre


def test_the_command_makes_key_bundle_and_enrolments(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / "centre.pem"
    centre.main(["key", str(key)])
    assert key.stat().st_mode & 0o777 == 0o600
    public = capsys.readouterr().out.strip()
    with pytest.raises(FileExistsError):
        centre.main(["key", str(key)])
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "site.yaml").write_text(group_file())
    centre.main(["sign", str(key), "--version", "3", str(tmp_path / "site")])
    assert '\\"version\\": 3' in capsys.readouterr().out
    (tmp_path / "sites.csv").write_text("site,secret:token\nmadrid,t\nparis,u\n")
    centre.main(["enrol", str(key), URL, str(tmp_path / "sites.csv")])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["madrid", "paris"]
    assert all("gte1:" in line for line in lines)
    assert len(public) == 44


def test_another_kind_of_key_is_refused(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    path = tmp_path / "ec.pem"
    key = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(SystemExit, match="no Ed25519 key"):
        centre.read_key(path)
