// The points: one table of all that a platform gets and could get, to look at and to edit.

import { VirtualizerController } from "@tanstack/lit-virtual";
import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { createRef, ref } from "lit/directives/ref.js";
import type { CheckAnswer, PointItem, TriedItem } from "../api.ts";
import { duration, number } from "../format.ts";
import { define, type Hass, text } from "../hass.ts";
import { ask, Live } from "../live.ts";
import {
  type Column,
  Draft,
  type Place,
  type Row,
  readTable,
  readText,
  saveRows,
  saveText,
  type Table,
} from "../mapping.ts";
import type { Model } from "../panel.ts";
import { candidates, type Filter, NO_FILTER, passes, type Traits, traitsOf } from "../readings.ts";
import { styles } from "../styles.ts";

const ROW_HEIGHT = 52;
const CHECK_AFTER_MS = 400;
type Shown = "all" | "mapped" | "unmapped" | "problems";
const SHOWN: Shown[] = ["all", "mapped", "unmapped", "problems"];

/** One line of the table. */
interface Line {
  entity: string;
  traits: Traits;
  /** What is stored of it, with what would go out. */
  point?: PointItem;
  /** Of the draft, while a device is edited. */
  row?: Row;
  index?: number;
}

class PointsView extends LitElement {
  static override properties = {
    hass: { attribute: false },
    model: { attribute: false },
    now: { type: Number },
    narrow: { type: Boolean },
    path: { attribute: false },
    entryId: { state: true },
    subentryId: { state: true },
    table: { state: true },
    filter: { state: true },
    shown: { state: true },
    chosen: { state: true },
    busy: { state: true },
    error: { state: true },
    pasted: { state: true },
    saved: { state: true },
    tried: { state: true },
  };

  declare hass: Hass;
  declare model: Model;
  declare now: number;
  declare narrow: boolean;
  declare entryId: string;
  declare subentryId: string;
  declare table: Table | undefined;
  declare filter: Filter;
  declare shown: Shown;
  declare chosen: Set<string>;
  declare busy: boolean;
  declare error: string;
  declare pasted: string | undefined;
  declare saved: string;
  declare tried: TriedItem[] | undefined;
  private draft: Draft | undefined;
  /** Whether an entry was chosen whose points have not come yet. */
  private fresh = false;
  private checked: CheckAnswer | undefined;
  private checkTimer: number | undefined;
  private readonly points = new Live("grid_telemetry/points", () => this.requestUpdate());
  private readonly scroller = createRef<HTMLDivElement>();
  private readonly rows = new VirtualizerController<HTMLDivElement, HTMLDivElement>(this, {
    getScrollElement: () => this.scroller.value ?? null,
    count: 0,
    estimateSize: () => ROW_HEIGHT,
    overscan: 8,
  });

  constructor() {
    super();
    this.entryId = "";
    this.subentryId = "";
    this.filter = NO_FILTER;
    this.shown = "all";
    this.chosen = new Set();
    this.busy = false;
    this.error = "";
    this.saved = "";
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.points.stop();
    this.entryId = "";
  }

  private get forwarders(): [string, string][] {
    return [...this.model.links.items]
      .filter(([, link]) => link.forwards)
      .map(([id, link]) => [id, link.title]);
  }

  override updated(): void {
    const first = this.forwarders[0];
    if (!this.entryId && first && this.isConnected) {
      this.chooseEntry(first[0]);
    }
    if (this.fresh && this.points.loaded) {
      this.fresh = false;
      const [only, ...others] = this.editable.keys();
      if (only && others.length === 0) {
        this.chooseDevice(only);
      }
    }
  }

  private async chooseEntry(entryId: string): Promise<void> {
    this.entryId = entryId;
    this.tried = undefined;
    this.points.start(this.hass, { entry_id: entryId, values: true });
    await this.chooseDevice("");
    this.fresh = true;
  }

  /** The devices that have a table, with the type of their subentries. */
  private get editable(): Map<string, PointItem> {
    const found = new Map<string, PointItem>();
    for (const point of this.points.items.values()) {
      if (point.has_table) {
        found.set(point.subentry_id, point);
      }
    }
    return found;
  }

  private get place(): Place | undefined {
    const device = this.editable.get(this.subentryId);
    return (
      device && {
        entryId: this.entryId,
        type: device.subentry_type,
        subentryId: device.subentry_id,
      }
    );
  }

  private async chooseDevice(subentryId: string): Promise<void> {
    this.subentryId = subentryId;
    this.table = undefined;
    this.draft = undefined;
    this.checked = undefined;
    this.pasted = undefined;
    this.error = "";
    this.chosen = new Set();
    const place = this.place;
    if (place) {
      await this.work(async () => {
        this.table = await readTable(this.hass, place);
        this.draft = new Draft(this.table);
        await this.check();
      });
    }
  }

  /** Do something that takes a while; what it says in an error is shown. */
  private async work(task: () => Promise<void>): Promise<void> {
    this.busy = true;
    this.error = "";
    this.saved = "";
    try {
      await task();
    } catch (error) {
      const { message, body } = error as { message?: string; body?: { message?: string } };
      this.error = body?.message ?? message ?? String(error);
    } finally {
      this.busy = false;
    }
  }

  /** Send all points of the entry now, and show what became of each. */
  private async trySending(): Promise<void> {
    await this.work(async () => {
      const request = { entry_id: this.entryId };
      this.tried = (await ask(this.hass, "grid_telemetry/try", request)).points;
    });
  }

  // What there is to see

  private lines(): Line[] {
    const { hass, draft } = this;
    const lines: Line[] = [];
    if (draft && this.table) {
      const name = this.nameColumn;
      const stored = new Map(
        [...this.points.items.values()]
          .filter((point) => point.subentry_id === this.subentryId)
          .map((point) => [`${point.entity_id} ${point.name}`, point]),
      );
      draft.rows.forEach((row, index) => {
        const point = stored.get(`${row.entity} ${row[name]}`);
        lines.push({
          entity: row.entity,
          traits: traitsOf(hass, row.entity),
          row,
          index,
          ...(point ? { point } : {}),
        });
      });
    } else {
      for (const point of this.points.items.values()) {
        const entity = point.entity_id ?? "";
        lines.push({ entity, traits: traitsOf(hass, entity), point });
      }
    }
    const known = new Set(lines.map((line) => line.entity));
    for (const entity of candidates(hass)) {
      if (!known.has(entity)) {
        lines.push({ entity, traits: traitsOf(hass, entity) });
      }
    }
    return lines;
  }

  private get nameColumn(): string {
    return this.table?.columns[1]?.name ?? "name";
  }

  private isMapped(line: Line): boolean {
    return line.row ? Boolean(line.row[this.nameColumn]) : Boolean(line.point);
  }

  private problemOf(line: Line): string {
    const { hass } = this;
    if (line.index !== undefined && line.row) {
      const mistake = this.checked?.mistakes.find(
        (each) => this.draft?.named[each.index] === line.row,
      );
      if (mistake) {
        const type = this.place?.type;
        return (
          hass.localize(`component.grid_telemetry.config_subentries.${type}.error.${mistake.key}`, {
            row: mistake.about,
          }) || `${mistake.key} ${mistake.about}`
        );
      }
    }
    const problem = line.point?.problem ?? this.outgoing(line)?.problem;
    return problem ? text(hass, `problem.${problem}`) : "";
  }

  /** What would go out of a row that is not stored as it is. */
  private outgoing(line: Line): { sent: number | null; problem: string | null } | undefined {
    if (!line.row || !this.draft) {
      return line.point;
    }
    const index = this.draft.named.indexOf(line.row);
    const value = index < 0 ? undefined : this.checked?.values[index];
    const isStored = line.point && this.table?.rows.includes(line.row);
    return isStored ? line.point : value;
  }

  private filtered(lines: Line[]): Line[] {
    return lines.filter((line) => {
      const state = this.hass.states[line.entity];
      const words = `${line.entity} ${state?.attributes.friendly_name ?? ""} ${line.point?.name ?? ""} ${line.row?.[this.nameColumn] ?? ""}`;
      const mapped = this.isMapped(line);
      return (
        (this.shown === "all" ||
          (this.shown === "mapped" && mapped) ||
          (this.shown === "unmapped" && !mapped) ||
          (this.shown === "problems" && mapped && this.problemOf(line) !== "")) &&
        passes(this.filter, line.traits, words)
      );
    });
  }

  // What is edited

  private edited(): void {
    this.saved = "";
    this.requestUpdate();
    window.clearTimeout(this.checkTimer);
    this.checkTimer = window.setTimeout(() => this.check(), CHECK_AFTER_MS);
  }

  private async check(): Promise<void> {
    const { draft, place } = this;
    if (draft && place) {
      this.checked = await ask(this.hass, "grid_telemetry/check", {
        entry_id: place.entryId,
        subentry_id: place.subentryId,
        rows: draft.named,
      });
      this.requestUpdate();
    }
  }

  private set(line: Line, column: Column, value: unknown): void {
    const draft = this.draft as Draft;
    if (line.index === undefined) {
      draft.add([{ entity: line.entity, [column.name]: value } as Row]);
    } else {
      const many = this.chosen.has(this.keyOf(line)) ? this.chosenIndexes() : [line.index];
      const unique = column.name === this.nameColumn ? [line.index] : many;
      draft.set(unique, column.name, value);
    }
    this.edited();
  }

  private keyOf(line: Line): string {
    return line.row ? `${line.entity} ${line.index}` : `${line.entity} ${line.point?.name ?? ""}`;
  }

  private chosenIndexes(): number[] {
    return (this.draft?.rows ?? []).flatMap((row, index) =>
      this.chosen.has(`${row.entity} ${index}`) ? [index] : [],
    );
  }

  private async suggest(copyFrom = ""): Promise<void> {
    const { place, draft } = this;
    if (!place || !draft) {
      return;
    }
    const lines = this.filtered(this.lines()).filter(
      (line) =>
        !this.isMapped(line) && (this.chosen.size === 0 || this.chosen.has(this.keyOf(line))),
    );
    const entities = lines.map((line) => line.entity);
    await this.work(async () => {
      const addition = copyFrom ? { entities, copyFrom } : { entities };
      const table = await readTable(this.hass, place, addition);
      const wanted = new Set(entities);
      draft.add(table.rows.filter((row) => wanted.has(row.entity)));
      this.chosen = new Set();
      this.edited();
    });
  }

  private async save(): Promise<void> {
    const { draft, place } = this;
    if (!draft || !place) {
      return;
    }
    const { added, changed, removed } = draft.summary;
    await this.work(async () => {
      const refused = await saveRows(this.hass, place, draft.named);
      await this.afterSaving(refused);
      this.saved ||= text(this.hass, "points.saved", { added, changed, removed });
    });
  }

  private async paste(): Promise<void> {
    const place = this.place;
    const pasted = this.pasted;
    if (place && pasted !== undefined) {
      await this.work(async () => {
        await this.afterSaving(await saveText(this.hass, place, pasted));
        this.saved = text(this.hass, "points.saved_text");
      });
    }
  }

  /** Show why something was not taken, or the table as it is now. */
  private async afterSaving(refused: Awaited<ReturnType<typeof saveRows>>): Promise<void> {
    if (refused) {
      const key = refused.errors?.base ?? "";
      const about = refused.description_placeholders ?? {};
      const words = this.hass.localize(
        `component.grid_telemetry.config_subentries.${this.place?.type}.error.${key}`,
        about,
      );
      throw new Error(`${words || key}${about.mistakes ?? ""}`);
    }
    const place = this.place as Place;
    this.table = await readTable(this.hass, place);
    this.draft = new Draft(this.table);
    this.pasted = undefined;
    this.chosen = new Set();
    await this.check();
  }

  // How it looks

  override render(): TemplateResult {
    const { hass, model } = this;
    if (!model.links.loaded) {
      return html`<p aria-busy="true">${text(hass, "common.loading")}</p>`;
    }
    if (this.forwarders.length === 0) {
      return html`<section class="card">${text(hass, "points.no_forwarder")}</section>`;
    }
    const all = this.lines();
    const lines = this.filtered(all);
    const virtualizer = this.rows.getVirtualizer();
    if (virtualizer.options.count !== lines.length) {
      virtualizer.setOptions({ ...virtualizer.options, count: lines.length });
    }
    const items = virtualizer.getVirtualItems();
    const columns = this.cells();
    return html`
      ${this.renderChoice(all)} ${this.renderTools()}
      ${
        model.links.items.get(this.entryId)?.can_try
          ? html`<div class="row">
              <button class="action" ?disabled=${this.busy} @click=${this.trySending}>
                ${text(hass, "tried.send")}
              </button>
            </div>`
          : nothing
      }
      ${this.error ? html`<p class="error" role="alert">${this.error}</p>` : nothing}
      <p class="muted" role="status">
        ${this.saved || text(hass, "points.count", { count: lines.length, all: all.length })}
      </p>
      ${this.tried ? this.renderTried(this.tried) : nothing}
      ${this.pasted === undefined ? nothing : this.renderPaste()}
      ${(this.table?.columns ?? [])
        .filter((column) => column.free)
        .map(
          (column) => html`<datalist id="options-${column.name}">
          ${column.options.map((option) => html`<option value=${option}></option>`)}
        </datalist>`,
        )}
      <div
        class="scroll"
        ${ref(this.scroller)}
        tabindex="0"
        role="table"
        aria-label=${text(hass, "views.points")}
        aria-rowcount=${lines.length + 1}
        aria-busy=${this.busy}
      >
        <div class="line head" role="row" style=${this.template(columns.length)}>
          <span role="columnheader">${this.renderAll(lines)}</span>
          <span role="columnheader">${text(hass, "points.entity")}</span>
          <span role="columnheader" class="number">${text(hass, "points.value")}</span>
          ${columns.map((cell) => html`<span role="columnheader">${this.columnName(cell)}</span>`)}
          <span role="columnheader" class="number">${text(hass, "points.sent")}</span>
        </div>
        <div role="rowgroup" class="body" style="height: ${virtualizer.getTotalSize()}px">
          ${items.map((item) => {
            const line = lines[item.index];
            return line ? this.renderLine(line, item.index, item.start, columns) : nothing;
          })}
        </div>
      </div>
    `;
  }

  private columnName(name: string): string {
    const known = text(this.hass, `column.${name}`);
    return known.startsWith("column.") ? name : known;
  }

  /** The columns between the value and what is sent. */
  private cells(): string[] {
    return this.table
      ? this.table.columns.slice(1).map((column) => column.name)
      : ["device", "name", "unit", "factor", "take"];
  }

  private template(cells: number): string {
    const rest = `repeat(${Math.max(1, cells - 1)}, minmax(76px, 1fr))`;
    return `grid-template-columns: 32px minmax(150px, 2fr) 100px minmax(110px, 2fr) ${rest} minmax(130px, 1.6fr)`;
  }

  private renderChoice(all: Line[]): TemplateResult {
    const { hass, filter } = this;
    const options = (pick: (traits: Traits) => string | string[]) =>
      [...new Set(all.flatMap((line) => pick(line.traits)))].filter(Boolean).sort();
    const select = (name: keyof Filter, values: string[]) => html`<select
      aria-label=${text(hass, `filter.${name}`)}
      @change=${(event: Event) => {
        this.filter = { ...filter, [name]: (event.target as HTMLSelectElement).value };
      }}
    >
      <option value="">${text(hass, `filter.${name}`)}</option>
      ${values.map((value) => html`<option value=${value} ?selected=${filter[name] === value}>${value}</option>`)}
    </select>`;
    return html`<div class="row">
      <select
        aria-label=${text(hass, "points.forwarder")}
        @change=${(event: Event) => this.chooseEntry((event.target as HTMLSelectElement).value)}
      >
        ${this.forwarders.map(([id, title]) => html`<option value=${id} ?selected=${id === this.entryId}>${title}</option>`)}
      </select>
      <select
        aria-label=${text(hass, "points.device")}
        @change=${(event: Event) => this.chooseDevice((event.target as HTMLSelectElement).value)}
      >
        <option value="">${text(hass, "points.all_devices")}</option>
        ${[...this.editable].map(([id, { subentry }]) => html`<option value=${id} ?selected=${id === this.subentryId}>${subentry}</option>`)}
      </select>
      <input
        type="search"
        placeholder=${text(hass, "filter.words")}
        aria-label=${text(hass, "filter.words")}
        .value=${filter.words}
        @input=${(event: Event) => {
          this.filter = { ...filter, words: (event.target as HTMLInputElement).value };
        }}
      />
      <select
        aria-label=${text(hass, "filter.shown")}
        @change=${(event: Event) => {
          this.shown = (event.target as HTMLSelectElement).value as Shown;
        }}
      >
        ${SHOWN.map((shown) => html`<option value=${shown} ?selected=${shown === this.shown}>${text(hass, `shown.${shown}`)}</option>`)}
      </select>
      ${select(
        "device",
        options((traits) => traits.device),
      )}
      ${select(
        "area",
        options((traits) => traits.area),
      )}
      ${select(
        "label",
        options((traits) => traits.labels),
      )}
      ${select(
        "integration",
        options((traits) => traits.integration),
      )}
      ${select(
        "quantity",
        options((traits) => traits.quantity),
      )}
    </div>`;
  }

  private renderTools(): TemplateResult | typeof nothing {
    const { hass, draft, table, place } = this;
    if (!draft || !table || !place) {
      return this.editable.size
        ? html`<p class="muted">${text(hass, "points.choose_device")}</p>`
        : nothing;
    }
    const { added, changed, removed } = draft.summary;
    const dirty = added + changed + removed > 0;
    return html`<div class="row tools">
      <button class="action" ?disabled=${this.busy} @click=${() => this.suggest()}>
        ${text(hass, "points.suggest")}
      </button>
      ${
        Object.keys(table.copies).length
          ? html`<select
              aria-label=${text(hass, "points.copy")}
              @change=${(event: Event) => this.suggest((event.target as HTMLSelectElement).value)}
            >
              <option value="">${text(hass, "points.copy")}</option>
              ${Object.entries(table.copies).map(([id, title]) => html`<option value=${id}>${title}</option>`)}
            </select>`
          : nothing
      }
      <button
        class="action"
        ?disabled=${this.chosenIndexes().length === 0}
        @click=${() => {
          draft.remove(this.chosenIndexes());
          this.chosen = new Set();
          this.edited();
        }}
      >
        ${text(hass, "points.remove")}
      </button>
      <button
        class="action"
        ?disabled=${!draft.canUndo}
        @click=${() => {
          draft.undo();
          this.edited();
        }}
      >
        ${text(hass, "points.undo")}
      </button>
      <button
        class="action"
        @click=${() => {
          this.work(async () => {
            this.pasted = await readText(hass, place);
          });
        }}
      >
        ${text(hass, "points.as_text")}
      </button>
      <button
        class="action primary"
        ?disabled=${!dirty || this.busy}
        @click=${this.save}
      >
        ${dirty ? text(hass, "points.save_changes", { added, changed, removed }) : text(hass, "points.save")}
      </button>
    </div>`;
  }

  private renderTried(tried: TriedItem[]): TemplateResult {
    const { hass } = this;
    const why = (item: TriedItem) =>
      item.outcome === "no_value" ? text(hass, `problem.${item.why}`) : (item.why ?? "");
    return html`<section class="card tried">
      <h2>${text(hass, "tried.title")}</h2>
      <table>
        <tbody>
          ${tried.map(
            (item) => html`<tr>
              <td>${item.subentry}</td>
              <td>${item.name}</td>
              <td class="number">${item.value === null ? "–" : number(hass.language, item.value)}</td>
              <td>
                <span class="dot ${item.outcome === "taken" ? "good" : item.outcome === "refused" ? "bad" : "warning"}"></span
                >${text(hass, `tried.${item.outcome}`)} <span class="muted">${why(item)}</span>
              </td>
            </tr>`,
          )}
        </tbody>
      </table>
      <button
        class="action"
        @click=${() => {
          this.tried = undefined;
        }}
      >
        ${text(hass, "common.close")}
      </button>
    </section>`;
  }

  private renderPaste(): TemplateResult {
    const { hass } = this;
    return html`<section class="card">
      <label for="paste">${text(hass, "points.text_help")}</label>
      <textarea
        id="paste"
        rows="12"
        spellcheck="false"
        .value=${this.pasted ?? ""}
        @input=${(event: Event) => {
          this.pasted = (event.target as HTMLTextAreaElement).value;
        }}
      ></textarea>
      <div class="row">
        <button class="action primary" ?disabled=${this.busy} @click=${this.paste}>
          ${text(hass, "points.save")}
        </button>
        <button
          class="action"
          @click=${() => {
            this.pasted = undefined;
          }}
        >
          ${text(hass, "common.close")}
        </button>
      </div>
    </section>`;
  }

  private renderAll(lines: Line[]): TemplateResult {
    const all = lines.length > 0 && lines.every((line) => this.chosen.has(this.keyOf(line)));
    return html`<input
      type="checkbox"
      aria-label=${text(this.hass, "points.choose_all")}
      .checked=${all}
      @change=${() => {
        this.chosen = new Set(all ? [] : lines.map((line) => this.keyOf(line)));
      }}
    />`;
  }

  private renderLine(line: Line, index: number, top: number, columns: string[]): TemplateResult {
    const { hass, now } = this;
    const state = hass.states[line.entity];
    const key = this.keyOf(line);
    const name = String(state?.attributes.friendly_name ?? line.entity);
    const value = this.outgoing(line);
    const problem = this.isMapped(line) ? this.problemOf(line) : "";
    const unit = String(line.row?.unit ?? line.point?.unit ?? "");
    return html`<div
      class="line"
      role="row"
      aria-rowindex=${index + 2}
      style="${this.template(columns.length)}; transform: translateY(${top}px)"
    >
      <span role="cell"
        ><input
          type="checkbox"
          aria-label=${text(hass, "points.choose", { name })}
          .checked=${this.chosen.has(key)}
          @change=${() => {
            const chosen = new Set(this.chosen);
            if (!chosen.delete(key)) {
              chosen.add(key);
            }
            this.chosen = chosen;
          }}
      /></span>
      <span role="cell" class="two" title=${line.entity}
        ><span>${name}</span><span class="muted">${[line.traits.device, line.traits.area].filter(Boolean).join(" · ") || line.entity}</span></span
      >
      <span role="cell" class="number two"
        ><span>${state ? hass.formatEntityState(state) : "–"}</span
        ><span class="muted">${state ? text(hass, "common.ago", { time: duration(hass.language, now - Date.parse(state.last_updated) / 1000) }) : ""}</span></span
      >
      ${this.table ? this.table.columns.slice(1).map((column) => this.renderCell(line, column, name)) : this.renderStored(line)}
      <span role="cell" class="number two" title=${problem}
        ><span>${value?.sent === null || value?.sent === undefined ? "–" : `${number(hass.language, value.sent)} ${unit}`}</span
        ><span class="problem">${problem}</span></span
      >
    </div>`;
  }

  private renderStored(line: Line): TemplateResult[] {
    const point = line.point;
    const cells = point
      ? [
          point.subentry,
          point.name,
          point.unit ?? "",
          number(this.hass.language, point.factor),
          text(this.hass, `take.${point.take}`),
        ]
      : ["", "", "", "", ""];
    return cells.map((cell) => html`<span role="cell">${cell}</span>`);
  }

  private renderCell(line: Line, column: Column, name: string): TemplateResult {
    const value = line.row?.[column.name];
    const label = `${this.columnName(column.name)}: ${name}`;
    const set = (event: Event) => {
      const input = event.target as HTMLInputElement;
      const typed = input.value.trim();
      this.set(line, column, column.kind === "number" && typed !== "" ? Number(typed) : typed);
    };
    if (column.kind === "boolean") {
      return html`<span role="cell"
        ><input
          type="checkbox"
          aria-label=${label}
          .checked=${value === true}
          @change=${(event: Event) => this.set(line, column, (event.target as HTMLInputElement).checked)}
      /></span>`;
    }
    if (column.kind === "select" && !column.free) {
      return html`<span role="cell"
        ><select aria-label=${label} @change=${set}>
          <option value=""></option>
          ${column.options.map((option) => html`<option value=${option} ?selected=${option === value}>${option}</option>`)}
        </select></span
      >`;
    }
    return html`<span role="cell"
      ><input
        type=${column.kind === "number" ? "number" : "text"}
        step="any"
        aria-label=${label}
        list=${column.options.length ? `options-${column.name}` : nothing}
        .value=${String(value ?? "")}
        @change=${set}
      /></span
    >`;
  }

  static override styles = [
    styles,
    css`
      :host {
        display: block;
      }
      .row {
        margin-bottom: 12px;
      }
      .error {
        white-space: pre-line;
      }
      .scroll {
        background: var(--card-background-color);
        border: 1px solid var(--divider-color);
        border-radius: var(--ha-card-border-radius, 12px);
        contain: strict;
        height: calc(100vh - 280px);
        min-height: 320px;
        overflow: auto;
      }
      .body {
        position: relative;
      }
      .line {
        align-items: center;
        border-bottom: 1px solid var(--divider-color);
        display: grid;
        gap: 8px;
        height: ${ROW_HEIGHT}px;
        min-width: 900px;
        padding: 0 12px;
        width: 100%;
      }
      .body .line {
        left: 0;
        position: absolute;
        top: 0;
      }
      .line.head {
        background: var(--card-background-color);
        color: var(--muted);
        font-weight: 500;
        position: sticky;
        top: 0;
        z-index: 1;
      }
      .line > span {
        min-width: 0;
        overflow: hidden;
        text-overflow: ellipsis;
        white-space: nowrap;
      }
      .two span {
        display: block;
        overflow: hidden;
        text-overflow: ellipsis;
      }
      .line input:not([type="checkbox"]),
      .line select {
        min-height: 30px;
        padding: 2px 6px;
        width: 100%;
      }
      .line .problem {
        color: var(--bad);
      }
      select {
        max-width: 200px;
      }
      .tried {
        max-height: 360px;
        overflow: auto;
      }
      textarea {
        background: var(--primary-background-color);
        border: 1px solid var(--muted);
        border-radius: 6px;
        color: inherit;
        display: block;
        font-family: monospace;
        margin: 8px 0;
        width: 100%;
      }
    `,
  ];
}

define("gt-points", PointsView);
