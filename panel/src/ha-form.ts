// Home Assistant's own form, which its frontend loads with its settings only.

interface Routes {
  routes: Record<string, { load(): Promise<unknown> }>;
}

/** Load the form; returns whether it is there. It has no public way, so that there may be none. */
export async function loadForm(): Promise<boolean> {
  if (customElements.get("ha-form")) {
    return true;
  }
  try {
    const resolver = document.createElement("partial-panel-resolver") as HTMLElement & {
      _getRoutes(panels: object): Routes;
    };
    const panels = { settings: { component_name: "config", url_path: "settings" } };
    await resolver._getRoutes(panels).routes.settings?.load();
    const settings = document.createElement("ha-panel-config") as HTMLElement & {
      routerOptions: Routes;
    };
    await settings.routerOptions.routes.automation?.load();
  } catch {
    return false;
  }
  return customElements.get("ha-form") !== undefined;
}
