// The meters: how each fares on its line, and a look at its registers.

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import type { MeterItem, RegistersAnswer } from "../api.ts";
import { number } from "../format.ts";
import { define, type Hass, text } from "../hass.ts";
import { ask, Live } from "../live.ts";
import type { Model } from "../panel.ts";
import { decode, hex, type Order, TYPES, type Type } from "../registers.ts";
import { styles } from "../styles.ts";

type Space = "input" | "holding";

class MetersView extends LitElement {
  static override properties = {
    hass: { attribute: false },
    model: { attribute: false },
    chosen: { state: true },
    space: { state: true },
    address: { state: true },
    count: { state: true },
    type: { state: true },
    order: { state: true },
    answer: { state: true },
    error: { state: true },
    busy: { state: true },
  };

  declare hass: Hass;
  declare model: Model;
  declare chosen: string;
  declare space: Space;
  declare address: number;
  declare count: number;
  declare type: Type;
  declare order: Order;
  declare answer: (RegistersAnswer & { first: number }) | undefined;
  declare error: string;
  declare busy: boolean;
  private readonly meters = new Live("grid_telemetry/meters", () => this.requestUpdate());
  private started = false;

  constructor() {
    super();
    this.chosen = "";
    this.space = "input";
    this.address = 0;
    this.count = 20;
    this.type = "float32";
    this.order = "big";
    this.error = "";
    this.busy = false;
  }

  override updated(): void {
    if (!this.started && this.isConnected) {
      this.started = true;
      this.meters.start(this.hass, {});
    }
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.meters.stop();
    this.started = false;
  }

  private async read(): Promise<void> {
    const id = this.chosen || [...this.meters.items.keys()][0];
    const meter = id ? this.meters.items.get(id) : undefined;
    if (!id || !meter) {
      return;
    }
    this.busy = true;
    this.error = "";
    try {
      const answer = await ask(this.hass, "grid_telemetry/registers", {
        entry_id: meter.entry_id,
        subentry_id: id,
        space: this.space,
        address: this.address,
        count: this.count,
      });
      this.answer = { ...answer, first: this.address };
    } catch (error) {
      this.answer = undefined;
      this.error = (error as { message?: string }).message ?? String(error);
    } finally {
      this.busy = false;
    }
  }

  override render(): TemplateResult {
    const { hass, meters } = this;
    if (!meters.loaded) {
      return html`<p aria-busy="true">${text(hass, "common.loading")}</p>`;
    }
    if (meters.items.size === 0) {
      return html`<section class="card" tabindex="0">${text(hass, "meters.none")}</section>`;
    }
    const lines = Map.groupBy(meters.items, ([, meter]) => meter.entry_id);
    return html`
      ${[...lines].map(
        ([entryId, items]) => html`<section class="card" tabindex="0">
          <h2>${this.model.links.items.get(entryId)?.title ?? ""}</h2>
          ${this.renderLine(items)}
        </section>`,
      )}
      <section class="card" tabindex="0">
        <h2>${text(hass, "registers.title")}</h2>
        ${this.renderForm()}
        ${this.error ? html`<p class="error" role="alert">${this.error}</p>` : nothing}
        ${this.answer ? this.renderRegisters(this.answer) : nothing}
      </section>
    `;
  }

  private renderLine(items: [string, MeterItem][]): TemplateResult {
    const { hass } = this;
    const head = ["name", "unit_id", "model", "answer", "requests", "refused", "error"];
    return html`<table>
      <thead>
        <tr>
          ${head.map((name) => html`<th scope="col" class=${name === "unit_id" || name === "answer" ? "number" : ""}>${text(hass, `meters.${name}`)}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${items.map(([, meter]) => {
          const health = meter.answering ? "good" : "bad";
          return html`<tr>
            <td>
              <span class="dot ${health}" role="img" aria-label=${text(hass, `health.${health}`)}></span>${meter.name}
            </td>
            <td class="number">${meter.unit_id}</td>
            <td>${meter.model}</td>
            <td class="number">
              ${meter.answer_s === null ? "–" : `${number(hass.language, meter.answer_s * 1000, 4)} ms`}
            </td>
            <td>
              ${Object.entries(meter.requests)
                .map(([what, count]) => `${what}: ${count}`)
                .join(", ")}
            </td>
            <td>${meter.refused.map((key) => this.quantity(key)).join(", ") || "–"}</td>
            <td>
              ${meter.answering ? "–" : html`${meter.last_error} <span class="muted">${text(hass, "meters.again", { seconds: meter.next_attempt_s })}</span>`}
            </td>
          </tr>`;
        })}
      </tbody>
    </table>`;
  }

  private quantity(key: string): string {
    return this.hass.localize(`component.grid_telemetry.entity.sensor.${key}.name`) || key;
  }

  private renderForm(): TemplateResult {
    const { hass } = this;
    const select = <T extends string>(
      label: string,
      values: readonly (readonly [T, string])[],
      value: T,
      take: (value: T) => void,
    ) => html`<label
      >${text(hass, label)}
      <select @change=${(event: Event) => take((event.target as HTMLSelectElement).value as T)}>
        ${values.map(([key, name]) => html`<option value=${key} ?selected=${key === value}>${name}</option>`)}
      </select></label
    >`;
    const whole = (label: string, value: number, most: number, take: (value: number) => void) =>
      html`<label
        >${text(hass, label)}
        <input
          type="number"
          min="0"
          max=${most}
          .value=${String(value)}
          @change=${(event: Event) => take(Number((event.target as HTMLInputElement).value))}
        />
      </label>`;
    return html`<form
      class="row"
      @submit=${(event: Event) => {
        event.preventDefault();
        this.read();
      }}
    >
      ${select(
        "registers.meter",
        [...this.meters.items].map(([id, meter]) => [id, meter.name] as const),
        this.chosen,
        (value) => {
          this.chosen = value;
        },
      )}
      ${select(
        "registers.space",
        [
          ["input", text(hass, "registers.input")],
          ["holding", text(hass, "registers.holding")],
        ] as const,
        this.space,
        (value) => {
          this.space = value;
        },
      )}
      ${whole("registers.address", this.address, 65535, (value) => {
        this.address = value;
      })}
      ${whole("registers.count", this.count, 125, (value) => {
        this.count = value;
      })}
      <button class="action primary" ?disabled=${this.busy}>${text(hass, "registers.read")}</button>
      ${select(
        "registers.type",
        TYPES.map((type) => [type, type] as const),
        this.type,
        (value) => {
          this.type = value;
        },
      )}
      ${select(
        "registers.order",
        [
          ["big", text(hass, "registers.big")],
          ["little", text(hass, "registers.little")],
        ] as const,
        this.order,
        (value) => {
          this.order = value;
        },
      )}
    </form>`;
  }

  private renderRegisters(answer: RegistersAnswer & { first: number }): TemplateResult {
    const { hass } = this;
    const known = new Map(answer.known.map((each) => [each.address, each]));
    const head = ["address", "raw", "value", "quantity"];
    return html`<table>
      <thead>
        <tr>
          ${head.map((name) => html`<th scope="col" class=${name === "quantity" ? "" : "number"}>${text(hass, `registers.${name}`)}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${answer.words.map((word, index) => {
          const place = known.get(answer.first + index);
          return html`<tr>
            <td class="number">${answer.first + index}</td>
            <td class="number"><code>${hex(word)}</code></td>
            <td class="number">${decode(answer.words, index, this.type, this.order) ?? ""}</td>
            <td>
              ${place ? html`${this.quantity(place.quantity)} <span class="muted">${place.type}</span>` : ""}
            </td>
          </tr>`;
        })}
      </tbody>
    </table>`;
  }

  static override styles = [
    styles,
    css`
      :host {
        display: block;
      }
      label {
        color: var(--muted);
        display: grid;
        gap: 2px;
      }
      form {
        align-items: end;
        margin-bottom: 12px;
      }
      input[type="number"] {
        width: 90px;
      }
    `,
  ];
}

define("gt-meters", MetersView);
