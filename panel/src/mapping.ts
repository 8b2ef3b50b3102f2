// The table of the points of one device, as its form has it, while it is edited.

import { type Field, Flow, type Input, type Step, SUBENTRY_FLOW, unchanged } from "./flow.ts";
import type { Hass } from "./hass.ts";

export type Row = { entity: string } & Record<string, unknown>;

export interface Column {
  name: string;
  kind: "text" | "number" | "select" | "boolean";
  options: string[];
  /** Whether any text may stand in place of an option. */
  free: boolean;
}

export interface Table {
  columns: Column[];
  rows: Row[];
  /** The devices whose mapping can be copied, by the id of their subentry. */
  copies: Record<string, string>;
}

/** Which device of which entry. */
export interface Place {
  entryId: string;
  type: string;
  subentryId: string;
}

/** What is added to the rows that there are. */
export interface Addition {
  entities?: string[];
  copyFrom?: string;
}

const UNDONE = 100;

function columnOf(name: string, field: { selector: Record<string, unknown> }): Column {
  const [kind, config] = Object.entries(field.selector)[0] ?? ["text", {}];
  const { options = [], custom_value = false } = (config ?? {}) as {
    options?: (string | { value: string })[];
    custom_value?: boolean;
  };
  const known = kind === "number" || kind === "select" || kind === "boolean" ? kind : "text";
  return {
    name,
    kind: known,
    options: options.map((option) => (typeof option === "string" ? option : option.value)),
    free: custom_value,
  };
}

/** Open the form of a device up to the menu between its fields and its table. */
async function open(hass: Hass, place: Place, addition: Addition): Promise<[Flow, Field[]]> {
  const flow = await Flow.start(hass, SUBENTRY_FLOW, {
    handler: [place.entryId, place.type],
    subentry_id: place.subentryId,
  });
  const fields = flow.step.data_schema ?? [];
  const input: Input = unchanged(fields);
  if (addition.entities) {
    input.entities = addition.entities;
  }
  if (addition.copyFrom) {
    input.copy_from = addition.copyFrom;
  }
  await flow.answer(input);
  return [flow, fields];
}

function copiesIn(fields: Field[]): Record<string, string> {
  const select = fields.find((field) => field.name === "copy_from")?.selector?.select;
  const options = (select?.options ?? []) as { value: string; label: string }[];
  return Object.fromEntries(options.map(({ value, label }) => [value, label]));
}

/** Return the table of a device, with what is suggested for more entities. */
export async function readTable(hass: Hass, place: Place, addition: Addition = {}): Promise<Table> {
  const [flow, fields] = await open(hass, place, addition);
  try {
    const step = await flow.answer({ next_step_id: "points" });
    const field = step.data_schema?.find((field) => field.name === "points");
    const columns = (field?.selector?.object?.fields ?? {}) as Record<
      string,
      { selector: Record<string, unknown> }
    >;
    return {
      columns: Object.entries(columns).map(([name, field]) => columnOf(name, field)),
      rows: (field?.description?.suggested_value ?? []) as Row[],
      copies: copiesIn(fields),
    };
  } finally {
    await flow.leave();
  }
}

/** Return the table as text. */
export async function readText(hass: Hass, place: Place): Promise<string> {
  const [flow] = await open(hass, place, {});
  try {
    const step = await flow.answer({ next_step_id: "text" });
    return String(unchanged(step.data_schema ?? []).text ?? "");
  } finally {
    await flow.leave();
  }
}

async function save(
  hass: Hass,
  place: Place,
  next: "points" | "text",
  input: Input,
): Promise<Step | undefined> {
  const [flow] = await open(hass, place, {});
  try {
    await flow.answer({ next_step_id: next });
    const step = await flow.answer(input);
    return step.type === "form" ? step : undefined;
  } finally {
    await flow.leave();
  }
}

/** Save the rows; returns the form with its errors if they are not taken. */
export function saveRows(hass: Hass, place: Place, rows: Row[]): Promise<Step | undefined> {
  return save(hass, place, "points", { points: rows });
}

/** Save a table that was pasted, likewise. */
export function saveText(hass: Hass, place: Place, text: string): Promise<Step | undefined> {
  return save(hass, place, "text", { text });
}

/** What saving would change, in numbers of rows. */
export interface Summary {
  added: number;
  changed: number;
  removed: number;
}

/** The rows while they are edited; a row without a name is not sent. */
export class Draft {
  private readonly before: Row[];
  private readonly name: string;
  private history: Row[][] = [];
  rows: Row[];

  constructor(table: Table) {
    this.rows = table.rows;
    this.before = table.rows;
    this.name = table.columns[1]?.name ?? "name";
  }

  get canUndo(): boolean {
    return this.history.length > 0;
  }

  undo(): void {
    this.rows = this.history.pop() ?? this.rows;
  }

  /** Set cells of rows; an empty value takes the cell away. */
  set(indexes: Iterable<number>, column: string, value: unknown): void {
    const chosen = new Set(indexes);
    this.change(
      this.rows.map((row, index) => {
        if (!chosen.has(index)) {
          return row;
        }
        const { [column]: _, ...rest } = row;
        return (value === "" || value === undefined ? rest : { ...rest, [column]: value }) as Row;
      }),
    );
  }

  /** Add rows; of an entity that has one without a name, in its place. */
  add(rows: Row[]): void {
    const named = new Set(rows.map((row) => row.entity));
    const kept = this.rows.filter((row) => row[this.name] || !named.has(row.entity));
    this.change([...kept, ...rows]);
  }

  remove(indexes: Iterable<number>): void {
    const gone = new Set(indexes);
    this.change(this.rows.filter((_, index) => !gone.has(index)));
  }

  /** The rows that are sent. */
  get named(): Row[] {
    return this.rows.filter((row) => row[this.name]);
  }

  get summary(): Summary {
    const key = (row: Row) => `${row.entity} ${row[this.name]}`;
    const before = new Map(
      this.before
        .filter((row) => row[this.name])
        .map((row) => [key(row), JSON.stringify(sorted(row))]),
    );
    const summary = { added: 0, changed: 0, removed: 0 };
    for (const row of this.named) {
      const known = before.get(key(row));
      before.delete(key(row));
      if (known === undefined) {
        summary.added += 1;
      } else if (known !== JSON.stringify(sorted(row))) {
        summary.changed += 1;
      }
    }
    summary.removed = before.size;
    return summary;
  }

  private change(rows: Row[]): void {
    this.history = [...this.history, this.rows].slice(-UNDONE);
    this.rows = rows;
  }
}

function sorted(row: Row): [string, unknown][] {
  return Object.entries(row).sort(([one], [other]) => one.localeCompare(other));
}
