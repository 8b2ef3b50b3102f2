// The plots: power, what is delivered and queued, and how quickly meters answer.

import { css, html, LitElement, type TemplateResult } from "lit";
import { define, deviceName, type Hass, text } from "../hass.ts";
import { Live } from "../live.ts";
import type { Curve } from "../plot.ts";
import { recorded, type Series } from "../series.ts";
import { styles } from "../styles.ts";
import "../plot.ts";

const DOMAIN = "grid_telemetry";
const RANGES = [1, 24, 168] as const;
const RELOAD_S = 60;
const MOST = 8;

interface Figure {
  key: string;
  /** The translation key of the entities. */
  entity: string;
  counts: boolean;
  unit: string;
}

const FIGURES: Figure[] = [
  { key: "power", entity: "power", counts: false, unit: "W" },
  { key: "delivered", entity: "health_delivered", counts: true, unit: "1/min" },
  { key: "queued", entity: "health_queued", counts: false, unit: "" },
];

class PlotsView extends LitElement {
  static override properties = {
    hass: { attribute: false },
    now: { type: Number },
    hours: { state: true },
    curves: { state: true },
    error: { state: true },
  };

  declare hass: Hass;
  declare now: number;
  declare hours: number;
  declare curves: Map<string, Curve[]>;
  declare error: string;
  private loadedAt = 0;
  private readonly answers = new Map<string, Series>();
  private readonly meters = new Live("grid_telemetry/meters", () => this.takeAnswers());

  constructor() {
    super();
    this.hours = 1;
    this.curves = new Map();
    this.error = "";
  }

  override updated(): void {
    if (this.isConnected && this.now - this.loadedAt > RELOAD_S) {
      if (!this.loadedAt) {
        this.meters.start(this.hass, {});
      }
      this.loadedAt = this.now;
      this.load();
    }
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.meters.stop();
    this.loadedAt = 0;
  }

  private entitiesOf(figure: Figure): string[] {
    return Object.values(this.hass.entities)
      .filter((entity) => entity.platform === DOMAIN && entity.translation_key === figure.entity)
      .map((entity) => entity.entity_id)
      .slice(0, MOST);
  }

  private nameOf(entityId: string): string {
    const device = this.hass.devices[this.hass.entities[entityId]?.device_id ?? ""];
    return device ? deviceName(device) : entityId;
  }

  private async load(): Promise<void> {
    const { hass, hours } = this;
    const curves = new Map<string, Curve[]>();
    try {
      for (const figure of FIGURES) {
        const found = await recorded(hass, this.entitiesOf(figure), hours, figure.counts);
        curves.set(
          figure.key,
          [...found].map(([id, series]) => ({ name: this.nameOf(id), series: upToNow(series) })),
        );
      }
      this.error = "";
    } catch (error) {
      this.error = (error as { message?: string }).message ?? String(error);
    }
    if (hours === this.hours) {
      this.curves = curves;
    }
  }

  private takeAnswers(): void {
    const at = Date.now() / 1000;
    for (const [id, meter] of this.meters.items) {
      const [times, values] = this.answers.get(id) ?? [[], []];
      this.answers.set(id, [
        [...times, at].slice(-1800),
        [...values, meter.answer_s === null ? null : meter.answer_s * 1000].slice(-1800),
      ]);
    }
    this.requestUpdate();
  }

  override render(): TemplateResult {
    const { hass } = this;
    const answers = [...this.meters.items].slice(0, MOST).map(([id, meter]) => ({
      name: meter.name,
      series: this.answers.get(id) ?? ([[], []] as Series),
    }));
    return html`
      <div class="row">
        <select
          aria-label=${text(hass, "plots.range")}
          @change=${(event: Event) => {
            this.hours = Number((event.target as HTMLSelectElement).value);
            this.loadedAt = this.now;
            this.load();
          }}
        >
          ${RANGES.map((hours) => html`<option value=${hours} ?selected=${hours === this.hours}>${text(hass, `range.hours_${hours}`)}</option>`)}
        </select>
      </div>
      ${this.error ? html`<p class="error" role="alert">${this.error}</p>` : ""}
      ${FIGURES.map((figure) => this.renderPlot(figure.key, this.curves.get(figure.key) ?? [], figure.unit))}
      ${this.renderPlot("answers", answers, "ms", true)}
    `;
  }

  private renderPlot(key: string, curves: Curve[], unit: string, live = false): TemplateResult {
    const from = live ? undefined : this.loadedAt - this.hours * 3600;
    const title = text(this.hass, `plot.${key}`);
    return html`<section class="card">
      <h2>${title}</h2>
      ${
        curves.some(({ series }) => series[0].length)
          ? html`<gt-plot role="img" aria-label=${title} .curves=${curves} .unit=${unit} .from=${from}></gt-plot>`
          : html`<p class="muted">${text(this.hass, "plots.nothing")}</p>`
      }
    </section>`;
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
    `,
  ];
}

/** What an entity showed last it shows still. */
function upToNow([times, values]: Series): Series {
  return times.length
    ? [
        [...times, Date.now() / 1000],
        [...values, values.at(-1) ?? null],
      ]
    : [[], []];
}

define("gt-plots", PlotsView);
