// The panel: its head with the views, and what they share.

import { css, html, LitElement, type TemplateResult } from "lit";
import { define, type Hass, navigate, text } from "./hass.ts";
import { Live } from "./live.ts";
import { Rate } from "./rate.ts";
import { styles } from "./styles.ts";
import "./views/meters.ts";
import "./views/pipeline.ts";
import "./views/plots.ts";
import "./views/points.ts";
import "./views/start.ts";
import "./views/traffic.ts";

const VIEWS = ["pipeline", "points", "traffic", "meters", "plots", "start"] as const;
type View = (typeof VIEWS)[number];

/** How often the screen is drawn; Home Assistant tells of every state that changes. */
const REDRAW_MS = 1000;
const DOMAIN = "grid_telemetry";
const TEXTS = ["config_panel", "config", "config_subentries", "selector", "entity", "title"];

/** What the views are made of. */
export interface Model {
  links: Live<"grid_telemetry/links">;
  delivered: Map<string, Rate>;
  refused: Map<string, Rate>;
}

class GridTelemetryPanel extends LitElement {
  static override properties = {
    narrow: { type: Boolean },
    route: { attribute: false },
    ready: { state: true },
    now: { state: true },
  };

  declare narrow: boolean;
  declare route: { prefix: string; path: string } | undefined;
  declare ready: boolean;
  declare now: number;
  private latest: Hass | undefined;
  private timer: number | undefined;
  private readonly model: Model = {
    links: new Live("grid_telemetry/links", () => this.take()),
    delivered: new Map(),
    refused: new Map(),
  };

  set hass(hass: Hass) {
    const before = this.latest;
    this.latest = hass;
    if (!before) {
      this.begin();
    } else if (before.language !== hass.language) {
      this.loadTexts();
    }
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.begin();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    window.clearInterval(this.timer);
    this.timer = undefined;
    this.model.links.stop();
  }

  private begin(): void {
    if (!this.latest || !this.isConnected || this.timer !== undefined) {
      return;
    }
    this.now = Date.now() / 1000;
    this.timer = window.setInterval(() => {
      this.now = Date.now() / 1000;
    }, REDRAW_MS);
    this.model.links.start(this.latest, {});
    this.loadTexts();
  }

  private async loadTexts(): Promise<void> {
    const hass = this.latest as Hass;
    await Promise.all(TEXTS.map((category) => hass.loadBackendTranslation(category, DOMAIN)));
    this.ready = true;
    this.requestUpdate();
  }

  private take(): void {
    const at = Date.now() / 1000;
    for (const [id, link] of this.model.links.items) {
      for (const [rates, count] of [
        [this.model.delivered, link.delivered],
        [this.model.refused, link.refused],
      ] as const) {
        if (count !== null) {
          const rate = rates.get(id) ?? new Rate();
          rates.set(id, rate);
          rate.take(at, count);
        }
      }
    }
    this.requestUpdate();
  }

  private get view(): View {
    const name = (this.route?.path ?? "").split("/")[1];
    return VIEWS.find((view) => view === name) ?? "pipeline";
  }

  override render(): TemplateResult {
    const hass = this.latest;
    if (!hass || !this.ready) {
      return html`<div class="head" aria-busy="true"></div>`;
    }
    return html`
      <header class="head">
        ${
          this.narrow
            ? html`<button class="menu" aria-label=${text(hass, "common.menu")} @click=${this.toggleMenu}>
                ☰
              </button>`
            : ""
        }
        <h1>Grid Telemetry</h1>
        <nav aria-label="Grid Telemetry">
          ${VIEWS.map(
            (view) => html`<a
              href="/grid-telemetry/${view}"
              aria-current=${this.view === view ? "page" : "false"}
              @click=${this.go}
              >${text(hass, `views.${view}`)}</a
            >`,
          )}
        </nav>
      </header>
      <main>${this.renderView(hass)}</main>
    `;
  }

  private renderView(hass: Hass): TemplateResult {
    switch (this.view) {
      case "points":
        return html`<gt-points .hass=${hass} .model=${this.model} .now=${this.now}></gt-points>`;
      case "traffic":
        return html`<gt-traffic
          .hass=${hass}
          .model=${this.model}
          .now=${this.now}
        ></gt-traffic>`;
      case "meters":
        return html`<gt-meters .hass=${hass} .model=${this.model}></gt-meters>`;
      case "plots":
        return html`<gt-plots .hass=${hass} .now=${this.now}></gt-plots>`;
      case "start":
        return html`<gt-start
          .hass=${hass}
          .model=${this.model}
          .now=${this.now}
        ></gt-start>`;
      default:
        return html`<gt-pipeline
          .hass=${hass}
          .model=${this.model}
          .now=${this.now}
          .narrow=${this.narrow}
        ></gt-pipeline>`;
    }
  }

  private go(event: MouseEvent): void {
    if (event.ctrlKey || event.metaKey || event.button !== 0) {
      return;
    }
    event.preventDefault();
    navigate((event.currentTarget as HTMLAnchorElement).pathname);
  }

  private toggleMenu(): void {
    this.dispatchEvent(new CustomEvent("hass-toggle-menu", { bubbles: true, composed: true }));
  }

  static override styles = [
    styles,
    css`
      :host {
        background: var(--primary-background-color);
        display: flex;
        flex-direction: column;
        height: 100%;
        min-height: 100vh;
      }
      .head {
        align-items: center;
        background: var(--app-header-background-color, var(--primary-color));
        border-bottom: var(--app-header-border-bottom, none);
        color: var(--app-header-text-color, #fff);
        display: flex;
        flex-wrap: wrap;
        gap: 0 16px;
        min-height: var(--header-height, 56px);
        padding: 0 16px;
        position: sticky;
        top: 0;
        z-index: 2;
      }
      h1 {
        font-size: 20px;
        font-weight: 400;
        margin: 0;
      }
      .menu {
        background: none;
        border: 0;
        color: inherit;
        cursor: pointer;
        font-size: 20px;
        min-height: 40px;
        min-width: 40px;
      }
      nav {
        display: flex;
        gap: 4px;
        overflow-x: auto;
      }
      nav a {
        border-bottom: 2px solid transparent;
        color: inherit;
        padding: 16px 12px;
        text-decoration: none;
        white-space: nowrap;
      }
      nav a[aria-current="page"] {
        border-bottom-color: currentColor;
        font-weight: 500;
      }
      main {
        flex: 1;
        margin: 0 auto;
        max-width: 1600px;
        padding: 16px;
        width: 100%;
      }
    `,
  ];
}

define("grid-telemetry-panel", GridTelemetryPanel);
