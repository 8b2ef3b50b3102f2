import assert from "node:assert/strict";
import { test } from "node:test";
import { apply } from "../src/live.ts";

test("the first message has everything, the next what is new", () => {
  const items = new Map<string, { sent: number | null; name: string }>([
    ["old", { sent: 0, name: "of the connection before" }],
  ]);
  apply(items, {
    full: true,
    changed: { "1": { sent: 1, name: "A" }, "2": { sent: 2, name: "B" } },
  });
  apply(items, { changed: { "1": { sent: 5 } }, removed: ["2"] });
  assert.deepEqual([...items], [["1", { sent: 5, name: "A" }]]);
});
