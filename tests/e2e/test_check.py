"""Everything from the meters to the platforms, as `script/run --check` runs it."""

import pytest

from simulators.demo import PLATFORMS, run_check

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("socket_enabled")]


@pytest.mark.parametrize(
    ("platforms", "real_brokers"),
    [
        pytest.param([*PLATFORMS], False, marks=pytest.mark.needs("mosquitto"), id="stand-ins"),
        pytest.param(["scout"], True, marks=pytest.mark.needs("rabbitmq-server"), id="rabbitmq"),
    ],
)
async def test_every_mapped_point_arrives(
    platforms: list[str], real_brokers: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    code = await run_check(platforms, real_brokers=real_brokers)
    told = capsys.readouterr().out.splitlines()
    assert code == 0, told
    for platform in (*platforms, "meters"):
        assert any(
            line.startswith(f"{platform}: ") and "points received and valid in" in line
            for line in told
        )
