// The pipeline: from the meters and sources over their devices to the platforms.

import { type SankeyNode, sankey, sankeyLinkHorizontal } from "d3-sankey";
import { css, html, LitElement, svg, type TemplateResult } from "lit";
import type { LinkItem } from "../api.ts";
import { duration, number, rate } from "../format.ts";
import { type Edge, type Graph, graphOf, linkHealth, type Node } from "../graph.ts";
import { define, errorText, type Hass, navigate, text, type Unsubscribe } from "../hass.ts";
import { Live } from "../live.ts";
import type { Model } from "../panel.ts";
import { styles } from "../styles.ts";

const NODE_WIDTH = 14;
const NODE_HEIGHT = 46;
const LABEL_WIDTH = 170;

interface Issue {
  domain: string;
  issue_id: string;
  ignored: boolean;
}

class PipelineView extends LitElement {
  static override properties = {
    hass: { attribute: false },
    model: { attribute: false },
    now: { type: Number },
    narrow: { type: Boolean },
    open: { state: true },
    width: { state: true },
    issues: { state: true },
  };

  declare hass: Hass;
  declare model: Model;
  declare now: number;
  declare narrow: boolean;
  declare open: Set<string>;
  declare width: number;
  declare issues: Issue[];
  private readonly points = new Live("grid_telemetry/points", () => this.requestUpdate());
  private unsubscribe: Promise<Unsubscribe> | undefined;
  private readonly observer = new ResizeObserver(([entry]) => {
    this.width = Math.max(300, entry?.contentRect.width ?? 0);
  });

  constructor() {
    super();
    this.open = new Set();
    this.width = 900;
    this.issues = [];
  }

  override firstUpdated(): void {
    this.observer.observe(this);
  }

  override updated(): void {
    if (!this.unsubscribe && this.isConnected) {
      this.points.start(this.hass, { values: false });
      this.unsubscribe = this.hass.connection.subscribeEvents(
        () => this.loadIssues(),
        "repairs_issue_registry_updated",
      );
      this.loadIssues();
    }
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.points.stop();
    this.unsubscribe?.then((unsubscribe) => unsubscribe());
    this.unsubscribe = undefined;
  }

  private async loadIssues(): Promise<void> {
    const { issues } = await this.hass.callWS<{ issues: Issue[] }>({ type: "repairs/list_issues" });
    this.issues = issues.filter((issue) => issue.domain === "grid_telemetry" && !issue.ignored);
  }

  override render(): TemplateResult {
    const { hass, model } = this;
    if (!model.links.loaded || !this.points.loaded) {
      return html`<p aria-busy="true">${text(hass, "common.loading")}</p>`;
    }
    if (model.links.items.size === 0) {
      return html`<section class="card" tabindex="0">
        <h2>${text(hass, "pipeline.empty_title")}</h2>
        <p>${text(hass, "pipeline.empty")}</p>
        <button class="action primary" @click=${() => navigate("/grid-telemetry/start")}>
          ${text(hass, "pipeline.add")}
        </button>
      </section>`;
    }
    const graph = graphOf(hass, model.links.items, this.points.items.values(), this.open);
    return html`
      ${
        this.issues.length
          ? html`<p class="error">
              <button class="link" @click=${() => navigate("/config/repairs")}>
                ${text(hass, "pipeline.repairs", { count: this.issues.length })}
              </button>
            </p>`
          : ""
      }
      <section class="card" tabindex="0">
        <h2>${text(hass, "pipeline.title")}</h2>
        ${
          graph.edges.length
            ? this.renderGraph(graph)
            : html`<p class="muted">${text(hass, "pipeline.no_points")}</p>`
        }
      </section>
      <section class="card" tabindex="0">
        <h2>${text(hass, "pipeline.links")}</h2>
        ${this.renderLinks()}
      </section>
    `;
  }

  private renderGraph(graph: Graph): TemplateResult {
    const rows = Math.max(
      ...["source", "device", "link"].map(
        (kind) => graph.nodes.filter((node) => node.kind.startsWith(kind)).length,
      ),
    );
    const height = Math.max(120, rows * NODE_HEIGHT);
    const width = Math.max(this.narrow ? 640 : 0, this.width - 34);
    const laid = sankey<Node, Edge>()
      .nodeId((node) => node.id)
      .nodeWidth(NODE_WIDTH)
      .nodePadding(Math.min(24, height / rows / 2))
      .extent([
        [0, 8],
        [width - LABEL_WIDTH, height - 8],
      ])({
      nodes: graph.nodes.map((node) => ({ ...node })),
      links: graph.edges.map((edge) => ({ ...edge })),
    });
    const path = sankeyLinkHorizontal<Node, Edge>();
    return html`<svg
      width=${width}
      height=${height}
      viewBox="0 0 ${width} ${height}"
      role="group"
      aria-label=${text(this.hass, "pipeline.title")}
    >
      ${laid.links.map(
        (link) => svg`<path
          class="edge ${link.health}"
          d=${path(link) ?? ""}
          stroke-width=${Math.max(1.5, link.width ?? 0)}
        ><title>${this.rateText(link.value)}</title></path>`,
      )}
      ${laid.nodes.map((node) => this.renderNode(node))}
    </svg>`;
  }

  private renderNode(node: SankeyNode<Node, Edge>): TemplateResult {
    const { hass } = this;
    const name =
      node.kind === "devices" ? text(hass, "pipeline.devices", { count: node.name }) : node.name;
    const middle = ((node.y0 ?? 0) + (node.y1 ?? 0)) / 2;
    const second = this.secondLine(node);
    const description = `${name}: ${text(hass, `health.${node.health}`)}; ${second}`;
    const press = () => this.press(node);
    return svg`<g
      class="node"
      role="button"
      tabindex="0"
      aria-label=${description}
      @click=${press}
      @keydown=${(event: KeyboardEvent) => (event.key === "Enter" || event.key === " ") && press()}
    >
      <title>${description}</title>
      <rect
        class=${node.health}
        x=${node.x0 ?? 0}
        y=${node.y0 ?? 0}
        width=${NODE_WIDTH}
        height=${Math.max(3, (node.y1 ?? 0) - (node.y0 ?? 0))}
        rx="3"
      ></rect>
      <text x=${(node.x1 ?? 0) + 8} y=${middle - 3}>${short(name)}</text>
      <text class="second" x=${(node.x1 ?? 0) + 8} y=${middle + 13}>${short(second, 30)}</text>
    </g>`;
  }

  /** What matters of a node at a glance. */
  private secondLine(node: SankeyNode<Node, Edge>): string {
    const { hass, model, now } = this;
    if (node.kind === "link") {
      const link = model.links.items.get(node.ref);
      const age = link?.last_delivery ? duration(hass.language, now - link.last_delivery) : null;
      const delivered = model.delivered.get(node.ref)?.perMinute ?? node.value ?? 0;
      return [this.rateText(delivered), age && text(hass, "common.ago", { time: age })]
        .filter(Boolean)
        .join(" · ");
    }
    const state = node.entity ? hass.states[node.entity] : undefined;
    if (state) {
      const age = duration(hass.language, now - Date.parse(state.last_updated) / 1000);
      return `${hass.formatEntityState(state)} · ${text(hass, "common.ago", { time: age })}`;
    }
    return text(hass, "pipeline.points", { count: node.points });
  }

  private rateText(perMinute: number): string {
    return text(this.hass, "pipeline.per_minute", { rate: rate(this.hass.language, perMinute) });
  }

  private press(node: Node): void {
    if (node.kind === "link") {
      navigate(`/config/integrations/integration/grid_telemetry#config_entry=${node.ref}`);
    } else if (node.kind === "device" && this.hass.devices[node.ref]) {
      navigate(`/config/devices/device/${node.ref}`);
    } else if (node.kind !== "device") {
      const open = new Set(this.open);
      if (!open.delete(node.ref)) {
        open.add(node.ref);
      }
      this.open = open;
    }
  }

  private renderLinks(): TemplateResult {
    const { hass, model } = this;
    const head = [
      "link",
      "last_delivery",
      "queued",
      "oldest",
      "delivered",
      "refused",
      "messages",
      "error",
    ];
    return html`<table>
      <thead>
        <tr>
          ${head.map(
            (name, index) =>
              html`<th scope="col" class=${index > 0 && index < 6 ? "number" : ""}>
                ${text(hass, `pipeline.${name}`)}
              </th>`,
          )}
        </tr>
      </thead>
      <tbody>
        ${[...model.links.items].map(([id, link]) => this.renderLink(id, link))}
      </tbody>
    </table>`;
  }

  private renderLink(id: string, link: LinkItem): TemplateResult {
    const { hass, model, now } = this;
    const health = linkHealth(link);
    const ago = (at: number | null) => (at === null ? "–" : duration(hass.language, now - at));
    const count = (value: number | null) => (value === null ? "–" : number(hass.language, value));
    const fault = link.state !== "loaded" || link.connected === false || link.refused;
    return html`<tr>
      <td>
        <span class="dot ${health}" role="img" aria-label=${text(hass, `health.${health}`)}></span
        ><button
          class="link"
          @click=${() => navigate(link.device_id ? `/config/devices/device/${link.device_id}` : `/config/integrations/integration/grid_telemetry#config_entry=${id}`)}
        >
          ${link.title}
        </button>
      </td>
      <td class="number">${ago(link.last_delivery)}</td>
      <td class="number">${count(link.queued)}</td>
      <td class="number">${ago(link.oldest_at)}</td>
      <td class="number">${rate(hass.language, model.delivered.get(id)?.perMinute ?? null)}</td>
      <td class="number">${count(link.refused)}</td>
      <td>
        <button class="link" @click=${() => navigate(`/grid-telemetry/traffic?link=${id}`)}>
          ${text(hass, "views.traffic")}
        </button>
      </td>
      <td>${fault ? this.renderFault(link) : html`<span class="muted">–</span>`}</td>
    </tr>`;
  }

  private renderFault(link: LinkItem): TemplateResult {
    const { hass } = this;
    if (link.state !== "loaded") {
      return html`${text(hass, `state.${link.state}`)}`;
    }
    const { last_error, last_error_detail } = link;
    return html`${last_error ? errorText(hass, last_error, last_error_detail ?? "") : ""}`;
  }

  static override styles = [
    styles,
    css`
      :host {
        display: block;
      }
      svg {
        display: block;
      }
      .edge {
        fill: none;
        opacity: 0.35;
        stroke: var(--primary-color);
      }
      .edge.warning {
        background: none;
        stroke: var(--warning);
      }
      .edge.bad {
        background: none;
        stroke: var(--bad);
      }
      .node {
        cursor: pointer;
      }
      .node rect.good {
        fill: var(--good);
      }
      .node rect.warning {
        fill: var(--warning);
      }
      .node rect.bad {
        fill: var(--bad);
      }
      text {
        fill: var(--primary-text-color);
        font-size: 13px;
        font-weight: 500;
      }
      text.second {
        fill: var(--muted);
        font-size: 12px;
        font-weight: 400;
      }
    `,
  ];
}

function short(words: string, most = 24): string {
  return words.length > most ? `${words.slice(0, most - 1)}…` : words;
}

define("gt-pipeline", PipelineView);
