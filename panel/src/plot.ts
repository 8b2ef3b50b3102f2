// One plot, drawn by uPlot in Home Assistant's colours.

import { css, LitElement, unsafeCSS } from "lit";
import uPlot from "uplot";
import plain from "uplot/dist/uPlot.min.css";
import { define } from "./hass.ts";
import type { Series } from "./series.ts";

const COLOURS = [
  "#0072b2",
  "#d55e00",
  "#009e73",
  "#cc79a7",
  "#e69f00",
  "#56b4e9",
  "#8a6d3b",
  "#7f7f7f",
];
const HEIGHT = 240;

export interface Curve {
  name: string;
  series: Series;
}

class Plot extends LitElement {
  static override properties = {
    curves: { attribute: false },
    unit: { type: String },
    from: { type: Number },
  };

  declare curves: Curve[];
  declare unit: string;
  /** The left end in epoch seconds; as far as there are values where it is not given. */
  declare from: number | undefined;
  private plot: uPlot | undefined;
  private shape = "";
  private readonly observer = new ResizeObserver(([entry]) => {
    this.plot?.setSize({ width: entry?.contentRect.width ?? 600, height: HEIGHT });
  });

  override firstUpdated(): void {
    this.observer.observe(this);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.plot?.destroy();
    this.plot = undefined;
    this.shape = "";
  }

  override updated(): void {
    const data = uPlot.join(
      this.curves.map(({ series }) => series as unknown as uPlot.AlignedData),
    );
    const style = getComputedStyle(this);
    const ink = style.getPropertyValue("--secondary-text-color") || "#666";
    const lines = style.getPropertyValue("--divider-color") || "#ddd";
    const shape = JSON.stringify([ink, this.curves.map((curve) => curve.name)]);
    if (this.plot && shape === this.shape) {
      this.plot.setData(data);
      return;
    }
    this.shape = shape;
    this.plot?.destroy();
    const axis = { stroke: ink, grid: { stroke: lines, width: 1 }, ticks: { stroke: lines } };
    this.plot = new uPlot(
      {
        width: Math.max(300, this.clientWidth),
        height: HEIGHT,
        scales: {
          x: { range: (_, least, most) => [this.from ?? least, most ?? Date.now() / 1000] },
        },
        axes: [axis, { ...axis, size: 70 }],
        series: [
          {},
          ...this.curves.map(({ name }, index) => ({
            label: name,
            stroke: COLOURS[index % COLOURS.length] as string,
            width: 1.5,
            spanGaps: true,
            value: (_: uPlot, value: number | null) =>
              value === null ? "–" : `${Number(value.toPrecision(5))} ${this.unit}`,
          })),
        ],
      },
      data,
      (plot, draw) => {
        this.renderRoot.append(plot.root);
        draw();
      },
    );
  }

  static override styles = [
    unsafeCSS(plain),
    css`
      :host {
        display: block;
      }
      .u-legend {
        font-size: 13px;
      }
    `,
  ];
}

define("gt-plot", Plot);
