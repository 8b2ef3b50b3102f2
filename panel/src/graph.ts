// The way of the values as a graph: where they come from, of which device, and where they go.

import type { LinkItem, PointItem } from "./api.ts";
import { deviceName, type Hass } from "./hass.ts";

export type Health = "good" | "warning" | "bad";
export type NodeKind = "source" | "device" | "devices" | "link";

export interface Node {
  id: string;
  kind: NodeKind;
  name: string;
  health: Health;
  /** Of a device or a link: the id in the registry, or of the entry. */
  ref: string;
  points: number;
  /** The entity that tells most of it. */
  entity?: string;
}

export interface Edge {
  source: string;
  target: string;
  /** Values a minute. */
  value: number;
  health: Health;
}

export interface Graph {
  nodes: Node[];
  edges: Edge[];
}

/** More devices of one source than this are one node, until it is opened. */
export const CLOSED_FROM = 8;
/** What goes out as it changes is drawn as if it went out so often. */
const LIVE_INTERVAL_S = 10;
const WORSE: Health[] = ["good", "warning", "bad"];

/** Return how a link fares. */
export function linkHealth(link: LinkItem): Health {
  if (link.state !== "loaded") {
    return link.state === "not_loaded" ? "warning" : "bad";
  }
  if (link.connected === false) {
    return "bad";
  }
  return link.refused ? "warning" : "good";
}

function worst(one: Health, other: Health): Health {
  return WORSE.indexOf(one) >= WORSE.indexOf(other) ? one : other;
}

function isPower(hass: Hass, entityId: string): boolean {
  return hass.states[entityId]?.attributes.device_class === "power";
}

/** Where the values of an entity come from: a link of ours, or another integration. */
function sourceOf(hass: Hass, entityId: string, links: Map<string, LinkItem>): [string, string] {
  const entity = hass.entities[entityId];
  const device = entity?.device_id ? hass.devices[entity.device_id] : undefined;
  const entry = device?.primary_config_entry ?? device?.config_entries[0];
  const link = entry ? links.get(entry) : undefined;
  if (entry && link) {
    return [entry, link.title];
  }
  const domain = entity?.platform ?? entityId.split(".", 1)[0] ?? "";
  return [domain, hass.localize(`component.${domain}.title`) || domain];
}

/** Return the graph; of a source with many devices that is not in `open`, as one node. */
export function graphOf(
  hass: Hass,
  links: Map<string, LinkItem>,
  points: Iterable<PointItem>,
  open: Set<string>,
): Graph {
  const mapped = [...points].filter((point) => point.entity_id !== null);
  const devicesOf = new Map<string, Set<string>>();
  const placed = mapped.map((point) => {
    const entityId = point.entity_id as string;
    const [source, name] = sourceOf(hass, entityId, links);
    const device = hass.entities[entityId]?.device_id ?? entityId;
    devicesOf.set(source, (devicesOf.get(source) ?? new Set()).add(device));
    return { point, source, name, device };
  });
  const nodes = new Map<string, Node>();
  const edges = new Map<string, Edge>();
  const join = (source: string, target: string, value: number, health: Health): void => {
    const id = `${source}>${target}`;
    const edge = edges.get(id) ?? { source, target, value: 0, health: "good" };
    edges.set(id, { ...edge, value: edge.value + value, health: worst(edge.health, health) });
  };
  const place = (node: Omit<Node, "points">): void => {
    const known = nodes.get(node.id);
    const health = known ? worst(known.health, node.health) : node.health;
    nodes.set(node.id, { ...node, ...known, health, points: (known?.points ?? 0) + 1 });
  };

  for (const { point, source, name, device } of placed) {
    const entityId = point.entity_id as string;
    const link = links.get(point.entry_id);
    if (!link) {
      continue;
    }
    const health: Health = point.problem ? "warning" : "good";
    const brings = links.get(source);
    const sourceId = `source:${source}`;
    place({
      id: sourceId,
      kind: "source",
      name,
      health: worst(health, brings ? linkHealth(brings) : "good"),
      ref: source,
    });
    const count = devicesOf.get(source)?.size ?? 0;
    const closed = count > CLOSED_FROM && !open.has(source);
    const known = hass.devices[device];
    const deviceId = closed ? `devices:${source}` : `device:${device}`;
    place({
      id: deviceId,
      kind: closed ? "devices" : "device",
      name: closed ? String(count) : known ? deviceName(known) : device,
      health,
      ref: closed ? source : device,
    });
    const node = nodes.get(deviceId) as Node;
    if (!closed && (!node.entity || (isPower(hass, entityId) && !isPower(hass, node.entity)))) {
      node.entity = entityId;
    }
    const linkId = `link:${point.entry_id}`;
    place({
      id: linkId,
      kind: "link",
      name: link.title,
      health: linkHealth(link),
      ref: point.entry_id,
    });
    const perMinute = 60 / (link.interval_s ?? LIVE_INTERVAL_S);
    join(sourceId, deviceId, perMinute, health);
    join(deviceId, linkId, perMinute, worst(health, linkHealth(link)));
  }
  return { nodes: [...nodes.values()], edges: [...edges.values()] };
}
