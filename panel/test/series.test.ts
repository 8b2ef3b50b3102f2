import assert from "node:assert/strict";
import { test } from "node:test";
import { perMinute, seriesOfStates } from "../src/series.ts";

test("a state that is no number is a gap", () => {
  const series = seriesOfStates([
    { s: "1.5", lu: 10 },
    { s: "unavailable", lu: 20 },
  ]);
  assert.deepEqual(series, [
    [10, 20],
    [1.5, null],
  ]);
});

test("a count becomes its growth in each minute, from anew where it falls", () => {
  const grown = perMinute([
    [0, 30, 60, 90, 120, 130, 180],
    [10, 40, 50, 55, 0, null, 6],
  ]);
  assert.deepEqual(grown, [
    [0, 60],
    [30, 15],
  ]);
});
