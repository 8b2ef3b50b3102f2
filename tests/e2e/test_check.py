"""Everything from the meters to the platforms, as `script/run --check` runs it."""

import pytest

from simulators.demo import run_check

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("socket_enabled")]


@pytest.mark.parametrize(
    "platform",
    [
        "scout",
        "ardexa",
        "setup",
        "solarnode",
        pytest.param("powernaut", marks=pytest.mark.needs("mosquitto")),
    ],
)
async def test_every_mapped_point_arrives_at_the_stand_in(
    platform: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run_check([platform], real_brokers=False) == 0
    assert "points received and valid in" in capsys.readouterr().out


@pytest.mark.needs("rabbitmq-server")
async def test_every_mapped_point_arrives_at_rabbitmq(capsys: pytest.CaptureFixture[str]) -> None:
    assert await run_check(["scout"], real_brokers=True) == 0
    assert "points received and valid in" in capsys.readouterr().out
