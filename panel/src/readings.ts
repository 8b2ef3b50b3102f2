// The sensors that could be sent, and by what they are found.

import { deviceName, type Hass } from "./hass.ts";

/** Return the entities that measure something and are no diagnostics. */
export function candidates(hass: Hass): string[] {
  return Object.values(hass.states)
    .filter(
      (state) =>
        state.entity_id.startsWith("sensor.") &&
        state.attributes.state_class !== undefined &&
        !hass.entities[state.entity_id]?.entity_category,
    )
    .map((state) => state.entity_id);
}

/** What an entity is filtered by. */
export interface Traits {
  device: string;
  area: string;
  labels: string[];
  integration: string;
  quantity: string;
}

export function traitsOf(hass: Hass, entityId: string): Traits {
  const entity = hass.entities[entityId];
  const device = entity?.device_id ? hass.devices[entity.device_id] : undefined;
  const area = entity?.area_id ?? device?.area_id;
  return {
    device: device ? deviceName(device) : "",
    area: area ? (hass.areas[area]?.name ?? "") : "",
    labels: [...(entity?.labels ?? []), ...(device?.labels ?? [])],
    integration: entity?.platform ?? "",
    quantity: String(hass.states[entityId]?.attributes.device_class ?? ""),
  };
}

export interface Filter {
  words: string;
  device: string;
  area: string;
  label: string;
  integration: string;
  quantity: string;
}

export const NO_FILTER: Filter = {
  words: "",
  device: "",
  area: "",
  label: "",
  integration: "",
  quantity: "",
};

/** Return whether something with these traits and words is let through. */
export function passes(filter: Filter, traits: Traits, words: string): boolean {
  const wanted = filter.words.toLowerCase().split(/\s+/).filter(Boolean);
  const text = `${words} ${traits.device} ${traits.area}`.toLowerCase();
  return (
    wanted.every((word) => text.includes(word)) &&
    (!filter.device || traits.device === filter.device) &&
    (!filter.area || traits.area === filter.area) &&
    (!filter.label || traits.labels.includes(filter.label)) &&
    (!filter.integration || traits.integration === filter.integration) &&
    (!filter.quantity || traits.quantity === filter.quantity)
  );
}
