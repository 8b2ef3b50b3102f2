// The guided start: from nothing to the first message that a platform confirmed.

import { css, html, LitElement, type TemplateResult } from "lit";
import { ENTRY_FLOW, Flow, SUBENTRY_FLOW } from "../flow.ts";
import { duration } from "../format.ts";
import { define, type Hass, navigate, text } from "../hass.ts";
import { Live } from "../live.ts";
import type { Model } from "../panel.ts";
import { candidates } from "../readings.ts";
import { styles } from "../styles.ts";
import "../guide.ts";

const DOMAIN = "grid_telemetry";

interface Entry {
  entry_id: string;
  supported_subentry_types: Record<string, unknown>;
}

class StartView extends LitElement {
  static override properties = {
    hass: { attribute: false },
    model: { attribute: false },
    now: { type: Number },
    flow: { state: true },
    entries: { state: true },
    error: { state: true },
  };

  declare hass: Hass;
  declare model: Model;
  declare now: number;
  declare flow: Flow | undefined;
  declare entries: Entry[];
  declare error: string;
  private readonly points = new Live("grid_telemetry/points", () => this.requestUpdate());
  private started = false;

  constructor() {
    super();
    this.entries = [];
    this.error = "";
  }

  override updated(): void {
    if (!this.started && this.isConnected) {
      this.started = true;
      this.points.start(this.hass, { values: false });
      this.loadEntries();
    }
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.points.stop();
    this.started = false;
    // Home Assistant takes the page out for a moment when its panels change.
    window.setTimeout(() => {
      if (!this.isConnected) {
        this.leave();
      }
    });
  }

  private leave(): void {
    this.flow?.leave();
    this.flow = undefined;
  }

  private async loadEntries(): Promise<void> {
    this.entries = await this.hass.callWS<Entry[]>({ type: "config_entries/get", domain: DOMAIN });
  }

  private async begin(path: string, opening: object): Promise<void> {
    this.error = "";
    try {
      this.flow = await Flow.start(this.hass, path, opening);
    } catch (error) {
      const { body, message } = error as { body?: { message?: string }; message?: string };
      this.error = body?.message ?? message ?? String(error);
    }
  }

  override render(): TemplateResult {
    const { hass, model } = this;
    if (this.flow) {
      return html`<section class="card">
        <gt-guide
          .hass=${hass}
          .flow=${this.flow}
          @done=${() => {
            this.leave();
            this.loadEntries();
          }}
        ></gt-guide>
      </section>`;
    }
    if (!model.links.loaded || !this.points.loaded) {
      return html`<p aria-busy="true">${text(hass, "common.loading")}</p>`;
    }
    const forwarders = [...model.links.items].filter(([, link]) => link.forwards);
    const delivered = forwarders.find(([, link]) => link.delivered);
    const steps: [string, boolean, TemplateResult][] = [
      ["measure", candidates(hass).length > 0, this.renderAdd("start.add_source")],
      ["platform", forwarders.length > 0, this.renderAdd("start.add_platform")],
      [
        "map",
        this.points.items.size > 0,
        this.renderMap(forwarders.map(([id, { title }]) => [id, title])),
      ],
      ["flow", delivered !== undefined, this.renderDelivered(delivered?.[1].last_delivery ?? null)],
    ];
    return html`
      ${this.error ? html`<p class="error" role="alert">${this.error}</p>` : ""}
      <p>${text(hass, "start.intro")}</p>
      <ol>
        ${steps.map(
          ([name, done, action]) => html`<li class="card">
            <h2>
              <span class="dot ${done ? "good" : "warning"}" role="img" aria-label=${text(hass, done ? "start.done" : "start.to_do")}></span
              >${text(hass, `start.${name}`)}
            </h2>
            <p>${text(hass, `start.${name}_help`)}</p>
            ${action}
          </li>`,
        )}
      </ol>
    `;
  }

  private renderAdd(label: string): TemplateResult {
    return html`<button
      class="action primary"
      @click=${() => this.begin(ENTRY_FLOW, { handler: DOMAIN })}
    >
      ${text(this.hass, label)}
    </button>`;
  }

  /** A button for each kind of thing that can be added to each platform. */
  private renderMap(forwarders: [string, string][]): TemplateResult {
    const { hass } = this;
    return html`<div class="row">
      ${forwarders.flatMap(([entryId, title]) => {
        const entry = this.entries.find((each) => each.entry_id === entryId);
        return Object.keys(entry?.supported_subentry_types ?? {}).map((type) => {
          const name = hass.localize(
            `component.${DOMAIN}.config_subentries.${type}.initiate_flow.user`,
          );
          return html`<button
            class="action"
            @click=${() => this.begin(SUBENTRY_FLOW, { handler: [entryId, type] })}
          >
            ${title}: ${name || type}
          </button>`;
        });
      })}
      <button class="link" @click=${() => navigate("/grid-telemetry/points")}>
        ${text(hass, "views.points")}
      </button>
    </div>`;
  }

  private renderDelivered(at: number | null): TemplateResult {
    const { hass, now } = this;
    return html`<div class="row">
      ${at === null ? "" : html`<span role="status">${text(hass, "start.delivered", { time: duration(hass.language, now - at) })}</span>`}
      <button class="link" @click=${() => navigate("/grid-telemetry/pipeline")}>
        ${text(hass, "views.pipeline")}
      </button>
    </div>`;
  }

  static override styles = [
    styles,
    css`
      :host {
        display: block;
      }
      ol {
        list-style: none;
        margin: 0;
        padding: 0;
      }
    `,
  ];
}

define("gt-start", StartView);
