// One flow of Home Assistant, step by step, within the page.

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { type Field, type Flow, type Input, SUBENTRY_FLOW, unchanged } from "./flow.ts";
import { loadForm } from "./ha-form.ts";
import { define, type Hass, navigate, text } from "./hass.ts";
import { styles } from "./styles.ts";

const DOMAIN = "grid_telemetry";
const INTEGRATION = `/config/integrations/integration/${DOMAIN}`;
const PROGRESS_MS = 1000;

/** Goes through a flow; tells `done` when it has ended, be it without a result. */
class Guide extends LitElement {
  static override properties = {
    hass: { attribute: false },
    flow: { attribute: false },
    data: { state: true },
    busy: { state: true },
    error: { state: true },
    canShow: { state: true },
  };

  declare hass: Hass;
  declare flow: Flow;
  declare data: Input;
  declare busy: boolean;
  declare error: string;
  /** Whether Home Assistant's form is there; unknown at first. */
  declare canShow: boolean | undefined;
  private shownStep = "";
  private timer: number | undefined;

  constructor() {
    super();
    this.data = {};
    this.busy = false;
    this.error = "";
  }

  override connectedCallback(): void {
    super.connectedCallback();
    loadForm().then((canShow) => {
      this.canShow = canShow;
    });
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    window.clearTimeout(this.timer);
    this.timer = undefined;
  }

  override willUpdate(): void {
    const { step } = this.flow;
    const shown = `${step.flow_id} ${step.step_id}`;
    if (shown !== this.shownStep) {
      this.shownStep = shown;
      this.data = unchanged(step.data_schema ?? []);
    }
    if (step.type === "progress" && this.timer === undefined) {
      this.timer = window.setTimeout(() => {
        this.timer = undefined;
        this.go(() => this.flow.refresh());
      }, PROGRESS_MS);
    }
  }

  private async go(next: () => Promise<unknown>): Promise<void> {
    this.busy = true;
    this.error = "";
    try {
      await next();
      const { step } = this.flow;
      const [kind, id] = step.next_flow ?? [];
      if (kind === "config_subentries_flow" && id) {
        await this.flow.goOn(SUBENTRY_FLOW, id);
      } else if (step.type === "create_entry") {
        this.finish();
      }
    } catch (error) {
      const { body, message } = error as { body?: { message?: string }; message?: string };
      this.error = body?.message ?? message ?? String(error);
    } finally {
      this.busy = false;
      this.requestUpdate();
    }
  }

  private finish(): void {
    this.dispatchEvent(new CustomEvent("done", { bubbles: true, composed: true }));
  }

  /** Where the texts of the flow stand. */
  private get texts(): string {
    const { handler } = this.flow.step;
    return `component.${DOMAIN}.${Array.isArray(handler) ? `config_subentries.${handler[1]}` : "config"}`;
  }

  private words(path: string): string {
    return this.hass.localize(
      `${this.texts}.${path}`,
      this.flow.step.description_placeholders ?? {},
    );
  }

  private label(field: Field, kind: "data" | "data_description"): string {
    const step = `step.${this.flow.step.step_id}`;
    if (field.type === "expandable") {
      return this.words(
        `${step}.sections.${field.name}.${kind === "data" ? "name" : "description"}`,
      );
    }
    const section = (this.flow.step.data_schema ?? []).find((each) =>
      each.schema?.some((inner) => inner.name === field.name),
    );
    const place = section ? `${step}.sections.${section.name}` : step;
    return this.words(`${place}.${kind}.${field.name}`) || (kind === "data" ? field.name : "");
  }

  override render(): TemplateResult {
    const { hass, flow } = this;
    const { step } = flow;
    return html`
      ${this.error ? html`<p class="error" role="alert">${this.error}</p>` : nothing}
      ${this.renderStep()}
      <div class="row">
        <button class="action" @click=${this.finish}>
          ${text(hass, step.type === "abort" ? "common.close" : "start.leave")}
        </button>
      </div>
    `;
  }

  private renderStep(): TemplateResult {
    const { hass, flow } = this;
    const { step } = flow;
    switch (step.type) {
      case "menu":
        return this.renderMenu();
      case "form":
        return this.renderForm();
      case "progress":
        return html`<p role="status">
          ${this.words(`progress.${step.progress_action}`) || text(hass, "common.loading")}
        </p>`;
      case "abort":
        return html`<p role="status">${this.words(`abort.${step.reason}`) || step.reason}</p>`;
      default:
        return this.renderElsewhere();
    }
  }

  private renderHead(): TemplateResult {
    const step = `step.${this.flow.step.step_id}`;
    const description = this.words(`${step}.description`);
    return html`
      <h2>${this.words(`${step}.title`)}</h2>
      ${
        customElements.get("ha-markdown")
          ? html`<ha-markdown .content=${description} .hass=${this.hass}></ha-markdown>`
          : html`<p class="lines">${description}</p>`
      }
    `;
  }

  private renderMenu(): TemplateResult {
    const { step } = this.flow;
    const options = Array.isArray(step.menu_options)
      ? step.menu_options
      : Object.keys(step.menu_options ?? {});
    const of = (kind: string, option: string) =>
      this.words(`step.${step.step_id}.${kind}.${option}`);
    return html`${this.renderHead()}
      <div class="menu">
        ${options.map(
          (option) => html`<button
            class="choice"
            ?disabled=${this.busy}
            @click=${() => this.go(() => this.flow.answer({ next_step_id: option }))}
          >
            <strong>${of("menu_options", option) || option}</strong>
            <span class="muted">${of("menu_option_descriptions", option)}</span>
          </button>`,
        )}
      </div>`;
  }

  private renderForm(): TemplateResult {
    const { hass, flow } = this;
    const { step } = flow;
    if (this.canShow === undefined) {
      return html`<p aria-busy="true">${text(hass, "common.loading")}</p>`;
    }
    if (!this.canShow) {
      return this.renderElsewhere();
    }
    const fields = step.data_schema ?? [];
    return html`${this.renderHead()}
      <ha-form
        .hass=${hass}
        .data=${this.data}
        .schema=${fields}
        .error=${step.errors ?? {}}
        .computeError=${(key: string) => this.words(`error.${key}`) || key}
        .computeLabel=${(field: Field) => this.label(field, "data")}
        .computeHelper=${(field: Field) => this.label(field, "data_description")}
        .localizeValue=${(key: string) => hass.localize(`component.${DOMAIN}.selector.${key}`)}
        @value-changed=${(event: CustomEvent<{ value: Input }>) => {
          event.stopPropagation();
          this.data = event.detail.value;
        }}
      ></ha-form>
      <div class="row">
        <button
          class="action primary"
          ?disabled=${this.busy}
          @click=${() => this.go(() => this.flow.answer(this.data))}
        >
          ${text(hass, "start.next")}
        </button>
      </div>`;
  }

  /** What cannot be shown here, Home Assistant's own page shows. */
  private renderElsewhere(): TemplateResult {
    return html`<p>
      <button class="link" @click=${() => navigate(INTEGRATION)}>
        ${text(this.hass, "start.elsewhere")}
      </button>
    </p>`;
  }

  static override styles = [
    styles,
    css`
      :host {
        display: block;
      }
      .lines {
        white-space: pre-line;
      }
      .menu {
        display: grid;
        gap: 8px;
        grid-template-columns: repeat(auto-fill, minmax(280px, 1fr));
      }
      .choice {
        background: var(--card-background-color);
        border: 1px solid var(--divider-color);
        border-radius: 8px;
        color: inherit;
        cursor: pointer;
        display: grid;
        font: inherit;
        gap: 4px;
        padding: 12px;
        text-align: left;
      }
      .choice:hover {
        border-color: var(--primary-color);
      }
      .row {
        margin-top: 12px;
      }
    `,
  ];
}

define("gt-guide", Guide);
