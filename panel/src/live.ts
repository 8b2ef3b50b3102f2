// Streams of the integration: all items first, then what is new.

import type { Answers, Changes, Streams } from "./api.ts";
import type { Hass, Unsubscribe } from "./hass.ts";

/** Take a message of a stream over into the items. */
export function apply<T extends object>(items: Map<string, T>, changes: Changes): void {
  if (changes.full) {
    items.clear();
  }
  for (const [key, fields] of Object.entries(changes.changed ?? {})) {
    items.set(key, { ...items.get(key), ...fields } as T);
  }
  for (const key of changes.removed ?? []) {
    items.delete(key);
  }
}

/** The items of one stream, for as long as it is followed. */
export class Live<Name extends keyof Streams> {
  readonly items = new Map<string, Streams[Name][1]>();
  /** Whether the first message has come. */
  loaded = false;
  private name: Name;
  private onNews: () => void;
  private wanted = false;
  private unsubscribe: Promise<Unsubscribe> | undefined;

  constructor(name: Name, onNews: () => void) {
    this.name = name;
    this.onNews = onNews;
  }

  start(hass: Hass, request: Streams[Name][0]): void {
    this.stop();
    this.wanted = true;
    this.unsubscribe = hass.connection.subscribeMessage<Changes>(
      (changes) => {
        if (this.wanted) {
          apply(this.items, changes);
          this.loaded = true;
          this.onNews();
        }
      },
      { type: this.name, ...request },
    );
  }

  stop(): void {
    this.wanted = false;
    this.loaded = false;
    this.items.clear();
    this.unsubscribe?.then(
      (unsubscribe) => unsubscribe(),
      () => undefined,
    );
    this.unsubscribe = undefined;
  }
}

/** Ask once. */
export function ask<Name extends keyof Answers>(
  hass: Hass,
  name: Name,
  request: Answers[Name][0],
): Promise<Answers[Name][1]> {
  return hass.callWS({ type: name as string, ...(request as object) });
}
