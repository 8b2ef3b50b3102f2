// Home Assistant's own flows of entries and subentries: the only way in which the panel changes one.

import type { Hass } from "./hass.ts";

export interface Field {
  name: string;
  type?: string;
  required?: boolean;
  default?: unknown;
  description?: { suggested_value?: unknown };
  selector?: Record<string, Record<string, unknown> | null>;
  schema?: Field[];
}

export interface Step {
  flow_id: string;
  type: "form" | "menu" | "create_entry" | "abort" | "progress" | "external";
  handler: string | [string, string];
  step_id: string;
  data_schema?: Field[];
  errors?: Record<string, string> | null;
  description_placeholders?: Record<string, string> | null;
  menu_options?: string[] | Record<string, string>;
  reason?: string;
  title?: string;
  result?: { entry_id?: string; title?: string };
  next_flow?: [string, string];
  progress_action?: string;
  last_step?: boolean | null;
}

export type Input = Record<string, unknown>;

export const ENTRY_FLOW = "config/config_entries/flow";
export const SUBENTRY_FLOW = "config/config_entries/subentries/flow";

/** One flow that is gone through. */
export class Flow {
  private hass: Hass;
  private path: string;
  step: Step;

  private constructor(hass: Hass, path: string, step: Step) {
    this.hass = hass;
    this.path = path;
    this.step = step;
  }

  get isOver(): boolean {
    return this.step.type === "create_entry" || this.step.type === "abort";
  }

  static async start(hass: Hass, path: string, opening: object): Promise<Flow> {
    const body = { show_advanced_options: false, ...opening };
    return new Flow(hass, path, await hass.callApi<Step>("POST", path, body));
  }

  /** Go on with another flow that Home Assistant has begun. */
  async goOn(path: string, flowId: string): Promise<void> {
    this.step = await this.hass.callApi<Step>("GET", `${path}/${flowId}`);
    this.path = path;
  }

  /** Answer the present step; a menu by `next_step_id`. */
  async answer(input: Input): Promise<Step> {
    this.step = await this.hass.callApi<Step>("POST", `${this.path}/${this.step.flow_id}`, input);
    return this.step;
  }

  /** Look again at a step that goes on by itself. */
  async refresh(): Promise<Step> {
    this.step = await this.hass.callApi<Step>("GET", `${this.path}/${this.step.flow_id}`);
    return this.step;
  }

  /** Leave a flow that has not ended. */
  async leave(): Promise<void> {
    if (!this.isOver) {
      await this.hass.callApi("DELETE", `${this.path}/${this.step.flow_id}`).catch(() => undefined);
    }
  }
}

/** Return what a form would be sent with if nothing were changed in it. */
export function unchanged(fields: Field[]): Input {
  const input: Input = {};
  for (const field of fields) {
    if (field.type === "expandable" && field.schema) {
      input[field.name] = unchanged(field.schema);
      continue;
    }
    const value = field.description?.suggested_value ?? field.default;
    if (value !== undefined && value !== null) {
      input[field.name] = value;
    }
  }
  return input;
}
