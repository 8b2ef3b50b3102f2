// What Home Assistant's recorder knows of some entities, as series of numbers over time.

import type { Hass } from "./hass.ts";

/** Times in epoch seconds, and the values at them. */
export type Series = [times: number[], values: (number | null)[]];

interface Compact {
  s: string;
  lu: number;
}

interface Statistic {
  start: number;
  mean?: number | null;
  change?: number | null;
}

const HOUR_S = 3600;

/** Return states as numbers; what is none is a gap. */
export function seriesOfStates(states: Compact[]): Series {
  return [
    states.map((state) => state.lu),
    states.map((state) => {
      const value = Number.parseFloat(state.s);
      return Number.isFinite(value) ? value : null;
    }),
  ];
}

/** Return by how much a count grew in each minute. */
export function perMinute([times, values]: Series): Series {
  const grown = new Map<number, number>();
  let before: number | null = null;
  times.forEach((time, index) => {
    const value = values[index] ?? null;
    const minute = Math.floor(time / 60) * 60;
    if (value !== null && before !== null && value >= before) {
      grown.set(minute, (grown.get(minute) ?? 0) + value - before);
    }
    before = value;
  });
  return [[...grown.keys()], [...grown.values()]];
}

/** Return what was recorded of each entity: every state of an hour, the means of longer. */
export async function recorded(
  hass: Hass,
  entityIds: string[],
  hours: number,
  counts: boolean,
): Promise<Map<string, Series>> {
  const start = new Date(Date.now() - hours * HOUR_S * 1000).toISOString();
  if (entityIds.length === 0) {
    return new Map();
  }
  if (hours <= 1) {
    const found = await hass.callWS<Record<string, Compact[]>>({
      type: "history/history_during_period",
      start_time: start,
      entity_ids: entityIds,
      minimal_response: true,
      no_attributes: true,
      significant_changes_only: false,
    });
    return new Map(
      Object.entries(found).map(([id, states]) => {
        const series = seriesOfStates(states);
        return [id, counts ? perMinute(series) : series];
      }),
    );
  }
  const period = hours <= 24 ? "5minute" : "hour";
  const minutes = period === "hour" ? 60 : 5;
  const found = await hass.callWS<Record<string, Statistic[]>>({
    type: "recorder/statistics_during_period",
    start_time: start,
    statistic_ids: entityIds,
    period,
    types: counts ? ["change"] : ["mean"],
  });
  return new Map(
    Object.entries(found).map(([id, statistics]) => [
      id,
      [
        statistics.map((each) => each.start / 1000),
        statistics.map((each) =>
          counts ? (each.change == null ? null : each.change / minutes) : (each.mean ?? null),
        ),
      ],
    ]),
  );
}
