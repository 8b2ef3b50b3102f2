import assert from "node:assert/strict";
import { test } from "node:test";
import { Draft, type Table } from "../src/mapping.ts";

const column = (name: string) => ({ name, kind: "text" as const, options: [], free: false });
const TABLE: Table = {
  columns: [column("entity"), column("code"), column("unit")],
  rows: [
    { entity: "sensor.a", code: "A", unit: "W" },
    { entity: "sensor.b", code: "B" },
    { entity: "sensor.c" },
  ],
  copies: {},
};

test("cells of many rows are set at once, and that is undone at once", () => {
  const draft = new Draft(TABLE);
  draft.set([0, 1], "unit", "kW");
  assert.deepEqual(
    draft.rows.map((row) => row.unit),
    ["kW", "kW", undefined],
  );
  assert.deepEqual(draft.summary, { added: 0, changed: 2, removed: 0 });
  draft.undo();
  assert.deepEqual(draft.rows, TABLE.rows);
  assert.equal(draft.canUndo, false);
});

test("a row is sent once it has a name, and no more when that is taken away", () => {
  const draft = new Draft(TABLE);
  draft.set([2], "code", "C");
  draft.set([0], "code", "");
  assert.deepEqual(
    draft.named.map((row) => row.code),
    ["B", "C"],
  );
  assert.deepEqual(draft.summary, { added: 1, changed: 0, removed: 1 });
});

test("a suggestion takes the place of the row without a name", () => {
  const draft = new Draft(TABLE);
  draft.add([{ entity: "sensor.c", code: "C" }]);
  assert.deepEqual(
    draft.rows.map((row) => row.entity),
    ["sensor.a", "sensor.b", "sensor.c"],
  );
  draft.remove([0]);
  assert.deepEqual(draft.summary, { added: 1, changed: 0, removed: 1 });
});

test("what is set back to what it was is no change", () => {
  const draft = new Draft(TABLE);
  draft.set([0], "unit", "kW");
  draft.set([0], "unit", "W");
  assert.deepEqual(draft.summary, { added: 0, changed: 0, removed: 0 });
});
