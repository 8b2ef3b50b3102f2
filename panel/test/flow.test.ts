import assert from "node:assert/strict";
import { test } from "node:test";
import { unchanged } from "../src/flow.ts";

test("a form that nothing is changed in is sent with what it shows", () => {
  const input = unchanged([
    { name: "name", description: { suggested_value: "MAIN" }, default: "OTHER" },
    { name: "interval", default: 10 },
    { name: "empty" },
    { name: "more", type: "expandable", schema: [{ name: "inner", default: false }] },
  ]);
  assert.deepEqual(input, { name: "MAIN", interval: 10, more: { inner: false } });
});
