// What of Home Assistant's frontend the panel uses.

export interface EntityState {
  entity_id: string;
  state: string;
  attributes: Record<string, unknown>;
  last_updated: string;
}

export interface Entity {
  entity_id: string;
  platform: string;
  device_id?: string;
  area_id?: string;
  labels?: string[];
  entity_category?: string;
  translation_key?: string;
}

export interface Device {
  id: string;
  name: string | null;
  name_by_user?: string | null;
  area_id?: string | null;
  labels?: string[];
  config_entries: string[];
  primary_config_entry?: string | null;
}

export type Unsubscribe = () => Promise<void>;

export interface Hass {
  states: Record<string, EntityState>;
  entities: Record<string, Entity>;
  devices: Record<string, Device>;
  areas: Record<string, { name: string }>;
  language: string;
  localize(key: string, values?: Record<string, string | number>): string;
  formatEntityState(state: EntityState): string;
  loadBackendTranslation(category: string, integration: string): Promise<unknown>;
  callWS<T>(message: { type: string; [field: string]: unknown }): Promise<T>;
  callApi<T>(method: string, path: string, body?: object): Promise<T>;
  connection: {
    subscribeMessage<T>(
      callback: (message: T) => void,
      message: { type: string } & object,
    ): Promise<Unsubscribe>;
    subscribeEvents(callback: () => void, event: string): Promise<Unsubscribe>;
  };
}

const DOMAIN = "grid_telemetry";

/** Return a text of the panel. */
export function text(hass: Hass, key: string, values?: Record<string, string | number>): string {
  return hass.localize(`component.${DOMAIN}.config_panel.${key}`, values) || key;
}

/** Return what an error means, what was said of it, and what to do where that is known. */
export function errorText(hass: Hass, reason: string, detail: string): string {
  const state = hass.localize(
    `component.${DOMAIN}.entity.sensor.health_last_error.state.${reason}`,
  );
  const said = [state || reason, detail].filter(Boolean).join(": ");
  const advice = hass.localize(`component.${DOMAIN}.config.error.${reason}`, { error: detail });
  // A text that wants to be told more than that is not for here.
  return advice && !advice.includes("MISSING_VALUE") ? `${said}. ${advice}` : said;
}

/** Go to another page of Home Assistant, without loading anything anew. */
export function navigate(path: string): void {
  history.pushState(null, "", path);
  window.dispatchEvent(new CustomEvent("location-changed", { detail: { replace: false } }));
}

export function deviceName(device: Device): string {
  return device.name_by_user || device.name || device.id;
}

/** Define an element; a page that was open during an update keeps the one that it has. */
export function define(name: string, element: CustomElementConstructor): void {
  if (!customElements.get(name)) {
    customElements.define(name, element);
  }
}
