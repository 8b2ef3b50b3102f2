"""A Home Assistant whose entries are made in the browser, as its owner would make them.

What answers a flow of the integration over the API answers it here as well, so that the platforms
of the demo can be set up either way. A form is filled by telling it what its fields would tell it.
"""

from collections.abc import Mapping
import json
from pathlib import Path
from typing import Any, Final, override

from playwright.async_api import (
    Error,
    Locator,
    Page,
    Response,
    TimeoutError as PageTimeoutError,
    expect,
)

from simulators.home_assistant import CHECKOUT, Answer, FlowError, HomeAssistant, Json

DOMAIN: Final = "grid_telemetry"
_INTEGRATION_PAGE: Final = f"/config/integrations/integration/{DOMAIN}"
_TEXTS: Final[Json] = json.loads(
    (CHECKOUT / "custom_components" / DOMAIN / "translations" / "en.json").read_text("utf-8")
)
# A page is there within a second or two; one that is not after so long was taken away.
_TAKEN_AWAY_MS: Final = 15_000
_FILL: Final = """\
(form, answers) => form.dispatchEvent(new CustomEvent(
  "value-changed", {detail: {value: {...form.data, ...answers}}, bubbles: true, composed: true}
))"""


class FrontendHome(HomeAssistant):
    """One whose `page`, the owner's browser, has to be set before the first flow."""

    page: Page

    def __init__(self, folder: Path, *, configuration: str = "") -> None:
        """Lay out the config folder."""
        super().__init__(folder, configuration=configuration)
        self.chosen: set[str] = set()
        """The kinds of link that were chosen in the first menu."""

    @override
    async def add_entry(self, domain: str, answers: Mapping[str, Answer]) -> str:
        """Add an entry in the browser; those of other integrations over the API."""
        if domain != DOMAIN:
            return await super().add_entry(domain, answers)
        if await self.entries():
            opening = await go_to_integration(self.page)
        else:
            await (await go_to_integrations(self.page)).click()
            await self.page.get_by_placeholder("Search for a brand name").fill("Grid Telemetry")
            opening = self.page.get_by_text("Grid Telemetry", exact=True)
        result = await self._walk(_TEXTS["config"], opening, answers)
        self.chosen.add(_menu_choice(answers["user"]))
        entry_id: str = result["result"]["entry_id"]
        return entry_id

    @override
    async def add_subentry(self, entry_id: str, kind: str, answers: Mapping[str, Answer]) -> None:
        """Add a subentry in the browser."""
        titles = {entry["entry_id"]: entry["title"] for entry in await self.entries()}
        texts = _TEXTS["config_subentries"][kind]
        await go_to_integration(self.page)
        item = await open_menu(self.page, titles[entry_id], texts["initiate_flow"]["user"])
        await self._walk(texts, item, answers)

    async def _walk(self, texts: Json, opening: Locator, answers: Mapping[str, Answer]) -> Json:
        """Go through a flow and return its end."""
        step = await self._answer_to(opening)
        answered: list[str] = []
        while step["type"] in ("form", "menu"):
            name = step["step_id"]
            if step.get("errors") or name in answered:
                raise FlowError(f"step {name} came back with {step.get('errors')}")
            answered.append(name)
            answer = answers[name]
            inputs = answer(step) if callable(answer) else answer
            if step["type"] == "menu":
                if group := _group_of(texts, step, inputs["next_step_id"]):
                    label = texts["step"][name]["menu_options"][group]
                    await self._answer_to(self.page.get_by_text(label, exact=True).last)
                    name = group
                label = texts["step"][name]["menu_options"][inputs["next_step_id"]]
                step = await self._answer_to(self.page.get_by_text(label, exact=True).last)
            else:
                form = self.page.locator("step-flow-form ha-form").first
                labels = texts["step"][name].get("data", {})
                for field in step["data_schema"]:
                    if label := labels.get(field["name"]):
                        await expect(form.get_by_text(label).first).to_be_visible()
                await form.evaluate(_FILL, inputs)
                step = await self._answer_to(button(self.page, "Submit"))
        if step["type"] != "create_entry":
            raise FlowError(f"ended in {step['type']}: {step.get('reason')}")
        return step

    async def _answer_to(self, pressed: Locator) -> Json:
        """Press a button and return what Home Assistant answers the flow."""
        async with self.page.expect_response(_is_step) as coming:
            await pressed.click()
        response = await coming.value
        step: Json = await response.json()
        if not response.ok:
            raise FlowError(f"{response.url}: {step}")
        return step


def button(page: Page, name: str) -> Locator:
    """Return a button of a page."""
    return page.get_by_role("button", name=name, exact=True)


async def go(page: Page, path: str, landmark: Locator) -> None:
    """Open a page and wait for something on it.

    A dialog that was closed goes back in the history a moment later, which ends the loading of a
    page that is opened meanwhile or takes it away again; it is then opened once more.
    """
    try:
        await page.goto(path)
        await landmark.wait_for(timeout=_TAKEN_AWAY_MS)
    except Error as err:
        if not isinstance(err, PageTimeoutError) and "ERR_ABORTED" not in err.message:
            raise
        await page.goto(path)
        await landmark.wait_for()


async def go_to_integrations(page: Page) -> Locator:
    """Open the page of all integrations, and return the button that adds one."""
    add = button(page, "Add integration")
    await go(page, "/config/integrations/dashboard", add)
    return add


async def go_to_integration(page: Page) -> Locator:
    """Open the integration's page, and return the button that adds an entry."""
    add = button(page, "Add hub")
    await go(page, _INTEGRATION_PAGE, add)
    return add


async def open_menu(page: Page, title: str, item: str) -> Locator:
    """Open the menu of an entry on the integration's page, and return one of its items."""
    row = page.locator("ha-config-entry-row").filter(has=page.get_by_text(title, exact=True))
    await row.locator("ha-icon-button[slot=trigger]").first.click()
    return row.locator("ha-dropdown-item", has_text=item).first


def _is_step(response: Response) -> bool:
    return response.request.method == "POST" and "/flow" in response.url


def _group_of(texts: Json, step: Json, choice: str) -> str | None:
    """Return the option behind which a menu has a choice that it does not have itself."""
    if choice in step["menu_options"]:
        return None
    return next(
        str(group)
        for group in step["menu_options"]
        if choice in texts["step"].get(group, {}).get("menu_options", {})
    )


def _menu_choice(answer: Answer) -> str:
    assert isinstance(answer, dict)
    choice: Any = answer["next_step_id"]
    return str(choice)
