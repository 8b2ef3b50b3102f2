import { css } from "lit";

/** What all views share: Home Assistant's colours and the few elements that are used. */
export const styles = css`
  :host {
    --good: var(--success-color, #43a047);
    --warning: var(--warning-color, #ffa600);
    --bad: var(--error-color, #db4437);
    --muted: var(--secondary-text-color, #5e5e5e);
    color: var(--primary-text-color);
    font-family: var(--ha-font-family-body, Roboto, sans-serif);
    font-size: 14px;
    line-height: 1.4;
  }
  * {
    box-sizing: border-box;
  }
  .card {
    background: var(--card-background-color, #fff);
    border: 1px solid var(--divider-color);
    border-radius: var(--ha-card-border-radius, 12px);
    margin: 0 0 16px;
    padding: 16px;
    overflow-x: auto;
  }
  h2 {
    font-size: 18px;
    font-weight: 500;
    margin: 0 0 12px;
  }
  table {
    border-collapse: collapse;
    width: 100%;
  }
  th,
  td {
    border-bottom: 1px solid var(--divider-color);
    padding: 6px 12px 6px 0;
    text-align: left;
    vertical-align: top;
  }
  th {
    color: var(--muted);
    font-weight: 500;
    white-space: nowrap;
  }
  .number {
    font-variant-numeric: tabular-nums;
    text-align: right;
  }
  .muted {
    color: var(--muted);
  }
  .dot {
    border-radius: 50%;
    display: inline-block;
    height: 10px;
    margin-right: 8px;
    width: 10px;
  }
  .good {
    background: var(--good);
  }
  .warning {
    background: var(--warning);
  }
  .bad {
    background: var(--bad);
  }
  a,
  .link {
    background: none;
    border: 0;
    color: var(--primary-text-color);
    cursor: pointer;
    font: inherit;
    padding: 0;
    text-align: left;
    text-decoration: underline;
    text-decoration-color: var(--primary-color);
    text-underline-offset: 3px;
  }
  button.action,
  select,
  input {
    background: var(--card-background-color, #fff);
    border: 1px solid var(--muted);
    border-radius: 6px;
    color: inherit;
    font: inherit;
    min-height: 32px;
    padding: 4px 10px;
  }
  button.action {
    cursor: pointer;
  }
  button.primary {
    /* White on the primary colour itself is hard to read. */
    background: color-mix(in srgb, var(--primary-color), #000 35%);
    border-color: transparent;
    color: #fff;
  }
  button:disabled {
    cursor: default;
    opacity: 0.5;
  }
  :focus-visible {
    outline: 2px solid var(--primary-color);
    outline-offset: 2px;
  }
  .row {
    align-items: center;
    display: flex;
    flex-wrap: wrap;
    gap: 8px 12px;
  }
  .error {
    border-left: 3px solid var(--bad);
    margin: 0 0 12px;
    padding: 4px 12px;
  }
`;
