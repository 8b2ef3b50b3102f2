// The traffic: the last messages of a link, and those that were refused.

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import type { MessageItem, RefusedAnswer, RefusedMessage } from "../api.ts";
import { duration, number } from "../format.ts";
import { define, type Hass, text } from "../hass.ts";
import { ask, Live } from "../live.ts";
import type { Model } from "../panel.ts";
import { styles } from "../styles.ts";

type Direction = "" | "in" | "out" | "refused";
const DIRECTIONS: Direction[] = ["", "out", "in", "refused"];

class TrafficView extends LitElement {
  static override properties = {
    hass: { attribute: false },
    model: { attribute: false },
    now: { type: Number },
    entryId: { state: true },
    words: { state: true },
    direction: { state: true },
    held: { state: true },
    open: { state: true },
    refused: { state: true },
    deleting: { state: true },
    error: { state: true },
  };

  declare hass: Hass;
  declare model: Model;
  declare now: number;
  declare entryId: string;
  declare words: string;
  declare direction: Direction;
  /** What is shown while it is held. */
  declare held: [string, MessageItem][] | undefined;
  declare open: Set<string>;
  declare refused: RefusedAnswer | undefined;
  declare deleting: boolean;
  declare error: string;
  private readonly messages = new Live("grid_telemetry/traffic", () => this.requestUpdate());

  constructor() {
    super();
    this.entryId = "";
    this.words = "";
    this.direction = "";
    this.open = new Set();
    this.deleting = false;
    this.error = "";
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.messages.stop();
    this.entryId = "";
  }

  override updated(): void {
    const wanted = new URLSearchParams(location.search).get("link");
    const links = this.model.links.items;
    const first = wanted && links.has(wanted) ? wanted : [...links.keys()][0];
    if (!this.entryId && first && this.isConnected) {
      this.choose(first);
    }
  }

  private choose(entryId: string): void {
    this.entryId = entryId;
    this.held = undefined;
    this.open = new Set();
    this.refused = undefined;
    this.messages.start(this.hass, { entry_id: entryId });
    this.attend("list");
  }

  /** List, retry or delete refused messages. */
  private async attend(todo: "list" | "retry" | "delete", ids?: number[]): Promise<void> {
    this.error = "";
    this.deleting = false;
    try {
      this.refused = await ask(this.hass, "grid_telemetry/refused", {
        entry_id: this.entryId,
        todo,
        ...(ids ? { ids } : {}),
      });
    } catch (error) {
      this.error = (error as { message?: string }).message ?? String(error);
    }
  }

  private get shown(): [string, MessageItem][] {
    const all = this.held ?? [...this.messages.items].reverse();
    const words = this.words.toLowerCase();
    return all.filter(
      ([, message]) =>
        (!this.direction ||
          (this.direction === "refused"
            ? message.refused !== null
            : message.direction === this.direction)) &&
        (!words ||
          `${message.kind} ${message.about} ${message.body}`.toLowerCase().includes(words)),
    );
  }

  override render(): TemplateResult {
    const { hass, model } = this;
    if (!model.links.loaded) {
      return html`<p aria-busy="true">${text(hass, "common.loading")}</p>`;
    }
    const shown = this.shown;
    return html`
      <div class="row">
        <select
          aria-label=${text(hass, "pipeline.link")}
          @change=${(event: Event) => this.choose((event.target as HTMLSelectElement).value)}
        >
          ${[...model.links.items].map(([id, link]) => html`<option value=${id} ?selected=${id === this.entryId}>${link.title}</option>`)}
        </select>
        <input
          type="search"
          placeholder=${text(hass, "filter.words")}
          aria-label=${text(hass, "filter.words")}
          @input=${(event: Event) => {
            this.words = (event.target as HTMLInputElement).value;
          }}
        />
        <select
          aria-label=${text(hass, "traffic.direction")}
          @change=${(event: Event) => {
            this.direction = (event.target as HTMLSelectElement).value as Direction;
          }}
        >
          ${DIRECTIONS.map((direction) => html`<option value=${direction}>${text(hass, `direction.${direction || "all"}`)}</option>`)}
        </select>
        <button
          class="action"
          aria-pressed=${this.held !== undefined}
          @click=${() => {
            this.held = this.held ? undefined : [...this.messages.items].reverse();
          }}
        >
          ${text(hass, this.held ? "traffic.go_on" : "traffic.hold")}
        </button>
        <button class="action" @click=${() => this.copy(shown)}>${text(hass, "traffic.copy")}</button>
      </div>
      ${this.error ? html`<p class="error" role="alert">${this.error}</p>` : nothing}
      ${this.renderRefused()}
      <section class="card" tabindex="0">
        <h2>${text(hass, "traffic.title")}</h2>
        ${shown.length ? this.renderMessages(shown) : html`<p class="muted">${text(hass, "traffic.none")}</p>`}
      </section>
    `;
  }

  private renderMessages(shown: [string, MessageItem][]): TemplateResult {
    const { hass } = this;
    const head = ["time", "direction", "kind", "about", "size", "confirmed"];
    return html`<table>
      <thead>
        <tr>
          ${head.map((name) => html`<th scope="col" class=${name === "size" || name === "confirmed" ? "number" : ""}>${text(hass, `traffic.${name}`)}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${shown.map(([id, message]) => this.renderMessage(id, message))}
      </tbody>
    </table>`;
  }

  private renderMessage(id: string, message: MessageItem): TemplateResult {
    const { hass } = this;
    const at = new Date(message.at * 1000).toLocaleTimeString(hass.language);
    const open = this.open.has(id);
    return html`<tr>
        <td>${at}</td>
        <td>
          <span aria-label=${text(hass, `direction.${message.direction}`)} role="img"
            >${message.direction === "out" ? "→" : "←"}</span
          >
        </td>
        <td>
          <button
            class="link"
            aria-expanded=${open}
            @click=${() => {
              const opened = new Set(this.open);
              if (!opened.delete(id)) {
                opened.add(id);
              }
              this.open = opened;
            }}
          >
            ${message.kind}
          </button>
        </td>
        <td>${message.about}</td>
        <td class="number">${number(hass.language, message.size)} B</td>
        <td class="number">
          ${
            message.refused !== null
              ? html`<span class="refused">${message.refused || text(hass, "direction.refused")}</span>`
              : message.confirmed_s === null
                ? "–"
                : `${Math.round(message.confirmed_s * 1000)} ms`
          }
        </td>
      </tr>
      ${
        open
          ? html`<tr>
              <td colspan="6"><pre tabindex="0">${pretty(message.body)}</pre></td>
            </tr>`
          : nothing
      }`;
  }

  private renderRefused(): TemplateResult | typeof nothing {
    const { hass, refused } = this;
    if (!refused?.total) {
      return nothing;
    }
    return html`<section class="card" tabindex="0">
      <h2>${text(hass, "refused.title", { count: refused.total })}</h2>
      <p>${text(hass, "refused.help")}</p>
      <div class="row">
        <button class="action primary" @click=${() => this.attend("retry")}>
          ${text(hass, "refused.retry_all")}
        </button>
        ${
          this.deleting
            ? html`<button class="action" @click=${() => this.attend("delete")}>
                ${text(hass, "refused.really", { count: refused.total })}
              </button>`
            : html`<button
                class="action"
                @click=${() => {
                  this.deleting = true;
                }}
              >
                ${text(hass, "refused.delete_all")}
              </button>`
        }
      </div>
      <table>
        <tbody>
          ${refused.messages.map((message) => this.renderRefusedMessage(message))}
        </tbody>
      </table>
    </section>`;
  }

  private renderRefusedMessage(message: RefusedMessage): TemplateResult {
    const { hass, now } = this;
    const age = duration(hass.language, now - Date.parse(message.refused_at) / 1000);
    return html`<tr>
      <td>${text(hass, "common.ago", { time: age })}</td>
      <td>${message.kind} ${message.device}</td>
      <td>
        <details>
          <summary class="refused">${message.reason || text(hass, "direction.refused")}</summary>
          <pre tabindex="0">${pretty(message.body)}</pre>
        </details>
      </td>
      <td class="row">
        <button class="action" @click=${() => this.attend("retry", [message.id])}>
          ${text(hass, "refused.retry")}
        </button>
        <button class="action" @click=${() => this.attend("delete", [message.id])}>
          ${text(hass, "refused.delete")}
        </button>
      </td>
    </tr>`;
  }

  private copy(shown: [string, MessageItem][]): void {
    const lines = shown.map(([, message]) => JSON.stringify(message));
    navigator.clipboard?.writeText(lines.join("\n"));
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
      td.row {
        border: 0;
        margin: 0;
      }
      select {
        max-width: 260px;
      }
      pre {
        background: var(--primary-background-color);
        border-radius: 6px;
        margin: 0;
        max-height: 320px;
        overflow: auto;
        padding: 8px;
        white-space: pre-wrap;
        word-break: break-all;
      }
      .refused {
        color: var(--bad);
      }
    `,
  ];
}

/** Return JSON with line breaks; what is none as it is. */
function pretty(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}

define("gt-traffic", TrafficView);
