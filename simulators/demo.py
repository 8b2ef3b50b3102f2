"""The whole of it on one machine: meters, Home Assistant, and platforms that say what they got.

Everything that is started here is stopped here, whatever ends the run.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
import logging
from pathlib import Path
import shutil
import signal
import socket
import sys
from tempfile import TemporaryDirectory
import time

from aiohttp import ClientError

from .home_assistant import CHECKOUT, Answer, ApiError, FlowError, HomeAssistant, Json, log_records
from .household import Line, household
from .platforms import Platform, Received, RunPlatform
from .platforms.ardexa import run_ardexa
from .platforms.meters import run_meters
from .platforms.powernaut import run_powernaut
from .platforms.scout import run_scout
from .platforms.setup import run_setup
from .platforms.solarnode import run_solarnode
from .platforms.sparkplug import run_sparkplug
from .platforms.sttp import run_sttp
from .platforms.virtual_meter import run_virtual_meter
from .programs import ProgramError, free_port, until

PLATFORMS: dict[str, RunPlatform] = {
    "scout": run_scout,
    "powernaut": run_powernaut,
    "sparkplug": run_sparkplug,
    "sttp": run_sttp,
    "virtual_meter": run_virtual_meter,
    "setup": run_setup,
    "solarnode": run_solarnode,
    "ardexa": run_ardexa,
}

# What can go wrong with what runs here; anything else is a fault of this program.
FAILURES = (TimeoutError, ProgramError, FlowError, ApiError, ClientError)

HOME_PORT = 8123
CHECK_TIMEOUT_S = 165  # leaves time to stop everything within 180 s
REFRESH_S = 0.3
# Off a terminal, what each platform has is told so often.
LINE_S = 30.0
DAY_S = 1200  # a whole day of sun and of household in 20 minutes

# The meters of the first line that are sent on: at the grid connection and at the inverter.
FORWARDED = 2
# A switch of the frontend that an alarm of a platform can hang on.
ALARM_CONFIGURATION = """\
input_boolean:
  alarm:
    name: Alarm switch
    icon: mdi:alarm-light
template:
  - binary_sensor:
      - name: Alarm
        unique_id: alarm
        device_class: problem
        state: "{{ is_state('input_boolean.alarm', 'on') }}"
"""
# What setup commands of the demo call.
SCRIPTS = """\
script:
  setup_greet:
    alias: Greet a setup client
    sequence:
      - variables:
          answer:
            status_code: 209
            message: "Sent to {{ destination }} from {{ headers.from }}"
            result: "Hello {{ arg }}"
      - stop: Greeted
        response_variable: answer
  setup_broken:
    alias: Fail
    sequence:
      - action: script.that_is_not_there
"""


@dataclass(frozen=True, kw_only=True)
class Demo:
    """What runs."""

    home: HomeAssistant
    platforms: dict[str, Platform]


@asynccontextmanager
async def run_demo(
    folder: Path, names: Sequence[str], *, port: int | None = None, real_brokers: bool = False
) -> AsyncIterator[Demo]:
    """Run the meters, the platforms and Home Assistant with all of its entries made."""
    async with AsyncExitStack() as stack:
        lines = await stack.enter_async_context(household(DAY_S))
        platforms: dict[str, Platform] = {}
        for name in names:
            (folder / name).mkdir()
            platforms[name] = await stack.enter_async_context(
                PLATFORMS[name](folder / name, real_brokers)
            )
        home = HomeAssistant(
            folder / "home_assistant", port=port, configuration=ALARM_CONFIGURATION + SCRIPTS
        )
        await stack.enter_async_context(home)
        devices = [device for line in lines for device in await find_meters(home, line)]
        for platform in platforms.values():
            await platform.configure(home, devices[:FORWARDED])
        platforms["meters"] = await stack.enter_async_context(run_meters(home, devices))
        await home.call("input_boolean.turn_on", entity_id="input_boolean.alarm")
        yield Demo(home=home, platforms=platforms)


async def add_line(home: HomeAssistant, line: Line) -> str:
    """Add a line without its meters, and return the id of its entry."""
    return await home.add_entry(
        "grid_telemetry",
        {
            "user": {"next_step_id": "modbus"},
            "modbus": {"next_step_id": line.step},
            line.step: line.connection,
        },
    )


async def add_meters(home: HomeAssistant, line: Line) -> list[str]:
    """Add the meters of a line by their models, and return the ids of their devices."""
    entry_id = await add_line(home, line)
    for name, meter in line.meters.items():
        await home.add_subentry(
            entry_id,
            "meter",
            {
                "user": {"next_step_id": "model"},
                "model": {
                    "unit_id": meter.unit,
                    "register_map": meter.map_name,
                    "meter_name": name,
                    "fast_interval_s": 2,
                    "slow_interval_s": 5,
                },
                "confirm": {"next_step_id": "save"},
            },
        )
    return await devices_of(home, entry_id, line)


async def find_meters(home: HomeAssistant, line: Line) -> list[str]:
    """Have the meters of a line looked for, name them, and return the ids of their devices."""
    entry_id = await add_line(home, line)
    units = {str(meter.unit): (name, meter.map_name) for name, meter in line.meters.items()}

    def choose(step: Json) -> Json:
        """Take what was found; of models that look alike the one that says what the meter shows."""
        meters, names = step["data_schema"]
        found = [option["value"] for option in meters["selector"]["select"]["options"]]
        right = {f"{unit} {map_name}": name for unit, (name, map_name) in units.items()}
        if set(right).difference(found) or {key.split()[0] for key in found} != units.keys():
            raise FlowError(f"found {', '.join(found)}, not {', '.join(right)}")
        named = "\n".join(f"{key.split()[0]}: {name}" for key, name in right.items())
        return {meters["name"]: list(right), names["name"]: named}

    answers: dict[str, Answer] = {
        "user": {"next_step_id": "search"},
        "search": {
            "first_unit_id": 1,
            "last_unit_id": len(units) + 1,
            "timeout_s": 0.5,
            "fast_interval_s": 2,
            "slow_interval_s": 5,
        },
        "found": choose,
    }
    try:
        await home.add_subentry(entry_id, "meter", answers)
    except FlowError as err:
        # A Home Assistant that is still busy with its start may take too long to connect; the
        # form says so, and is sent once more.
        if "cannot_connect" not in str(err):
            raise
        await home.add_subentry(entry_id, "meter", answers)
    return await devices_of(home, entry_id, line)


async def devices_of(home: HomeAssistant, entry_id: str, line: Line) -> list[str]:
    """Return the devices of a line's meters, once all of them are set up."""

    async def loaded() -> list[str] | None:
        entry = await home.command("config_entries/get_single", entry_id=entry_id)
        devices = {device["name"]: device["id"] for device in await home.devices()}
        if entry["config_entry"]["state"] != "loaded" or any(
            name not in devices for name in line.meters
        ):
            return None
        return [devices[name] for name in line.meters]

    return await until(loaded, 30, "the meters set up")


async def watch(demo: Demo) -> None:
    """Show what each platform has, a few times a second, until cancelled."""
    title = f"Home Assistant: {demo.home.url}   (Ctrl-C stops everything)"
    on_terminal = sys.stdout.isatty()
    if not on_terminal:
        print(title, flush=True)
    told = time.monotonic()
    while True:
        demo.home.check()
        rows = [
            (name, received)
            for name, platform in demo.platforms.items()
            for received in platform.received()
        ]
        if on_terminal:
            print(screen(title, rows), end="", flush=True)
        elif time.monotonic() >= told + LINE_S:
            told = time.monotonic()
            print(*summary(rows, time.time()), sep="\n", flush=True)
        await asyncio.sleep(REFRESH_S)


def summary(rows: Sequence[tuple[str, Received]], now: float) -> list[str]:
    """Return a line for each platform: how many points it has, how often, and of when."""
    lines = []
    for name in sorted({name for name, _ in rows}):
        of_it = [received for platform, received in rows if platform == name]
        newest_s = now - max(received.at for received in of_it)
        count = sum(received.count for received in of_it)
        lines.append(f"{name}: {len(of_it)} points, {count} values, newest {newest_s:.0f} s ago")
    return lines


def screen(title: str, rows: Sequence[tuple[str, Received]]) -> str:
    """Return the table as one write that replaces the last, cut to the terminal's height."""
    columns, height = shutil.get_terminal_size()
    now = time.time()
    table = [("platform", "device", "point", "last value", "age", "count")]
    table += [
        (name, row.device, row.name, f"{row.value}", f"{now - row.at:.0f} s", f"{row.count}")
        for name, row in sorted(rows, key=lambda item: (item[0], item[1].device, item[1].name))
    ]
    # As wide as the longest text of each, so that none runs into the next; numbers to the right.
    widths = [max(len(row[column]) for row in table) for column in range(6)]
    lines = [title, *summary(rows, now), ""]
    lines += [
        "  ".join(
            f"{text:<{width}}" if column < 3 else f"{text:>{width}}"
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in table
    ]
    if len(lines) >= height:
        lines[height - 2 :] = [f"… {len(lines) - height + 2} more"]
    return "\x1b[H" + "".join(f"{line[:columns]}\x1b[K\n" for line in lines) + "\x1b[J"


async def check(demo: Demo, started: float) -> bool:
    """Wait until every platform has every point, print a line for each, say whether all is well."""
    waiting = dict(demo.platforms)
    while waiting and time.monotonic() < started + CHECK_TIMEOUT_S:
        demo.home.check()
        for name, platform in list(waiting.items()):
            if not missing(platform):
                count = len(platform.expected)
                seconds = time.monotonic() - started
                print(f"{name}: {count} of {count} points received and valid in {seconds:.0f} s")
                del waiting[name]
        await asyncio.sleep(REFRESH_S)
    for name, platform in waiting.items():
        gaps = missing(platform)
        count = len(platform.expected)
        points = ", ".join("/".join(gap) for gap in gaps)
        print(f"{name}: {count - len(gaps)} of {count} points received and valid, not {points}")
    refusals = [
        f"{name}: refused: {refusal}"
        for name, platform in demo.platforms.items()
        for refusal in platform.refused()
    ]
    print(*refusals, sep="\n", end="")
    return not waiting and not refusals


def missing(platform: Platform) -> list[tuple[str, str]]:
    """Return the points of which a platform has nothing yet."""
    have = {(received.device, received.name) for received in platform.received()}
    return sorted(platform.expected - have)


async def run_check(names: Sequence[str], *, real_brokers: bool) -> int:
    """Run everything on free ports until the check ended; return the exit code."""
    started = time.monotonic()
    with TemporaryDirectory(prefix="grid-telemetry-") as temporary:
        folder = Path(temporary)
        try:
            async with (
                asyncio.timeout(CHECK_TIMEOUT_S + 5),
                run_demo(folder, names, real_brokers=real_brokers) as demo,
            ):
                if await check(demo, started):
                    return 0
        except FAILURES as err:
            # The time limit of all has no text of its own.
            what = str(err) or "not everything had started, been checked and stopped"
            print(f"{type(err).__name__}: {what}")
        for record in log_records(folder / "home_assistant"):
            if "grid_telemetry" in record:
                print(record, file=sys.stderr)
    return 1


async def run_screen(names: Sequence[str], *, real_brokers: bool) -> int:
    """Run everything in `.run` of the checkout, on Home Assistant's usual port, until stopped."""
    folder = CHECKOUT / ".run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    print("Starting the meters, the platforms and Home Assistant …", flush=True)
    try:
        async with run_demo(folder, names, port=usual_port(), real_brokers=real_brokers) as demo:
            await watch(demo)
    except FAILURES as err:
        print(f"{type(err).__name__}: {err}\nThe logs are in {folder}.")
    return 1


def usual_port() -> int:
    """Return Home Assistant's usual port, or a free one if something has it."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", HOME_PORT))
        except OSError:
            return free_port()
    return HOME_PORT


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line; `script/run --help` tells of it without any setup."""
    options = argparse.ArgumentParser(
        prog="script/run", description="Simulated meters through Home Assistant to platforms."
    )
    options.add_argument(
        "--check",
        nargs="*",
        metavar="PLATFORM",
        help="on free ports and without a screen: wait until each platform (all unless named) "
        "has valid data of every mapped point, then end",
    )
    options.add_argument(
        "--real-brokers",
        action="store_true",
        help="RabbitMQ in place of the built-in stand-in for Scout",
    )
    return options


def _arguments() -> argparse.Namespace:
    options = parser()
    arguments = options.parse_args()
    if unknown := set(arguments.check or ()) - set(PLATFORMS):
        options.error(f"no such platform: {', '.join(sorted(unknown))}")
    return arguments


async def main(arguments: argparse.Namespace) -> int:
    """Run until the end or until a signal asks for it; a second signal changes nothing."""
    # It dumps its last traffic whenever a client goes away in the middle of a request.
    logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)
    names = arguments.check or list(PLATFORMS)
    run = run_screen if arguments.check is None else run_check
    task = asyncio.ensure_future(run(names, real_brokers=arguments.real_brokers))
    loop = asyncio.get_running_loop()
    stopped = False

    def stop() -> None:
        nonlocal stopped
        if not stopped:
            stopped = True
            print("\nStopping …", flush=True)
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        return await task
    except asyncio.CancelledError:
        return 130 if arguments.check is not None else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(_arguments())))
