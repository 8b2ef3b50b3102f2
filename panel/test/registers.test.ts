import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, hex } from "../src/registers.ts";

test("registers are read by type and word order", () => {
  const words = [0x4366, 0x8000, 0xffff, 0x4142];
  assert.equal(decode(words, 0, "float32", "big"), "230.5");
  assert.equal(decode([0x8000, 0x4366], 0, "float32", "little"), "230.5");
  assert.equal(decode(words, 2, "int16", "big"), "-1");
  assert.equal(decode(words, 2, "uint16", "big"), "65535");
  assert.equal(decode(words, 0, "uint32", "big"), String(0x43668000));
  assert.equal(decode([0xffff, 0xffff], 0, "int32", "big"), "-1");
  assert.equal(decode([0, 0, 0, 5], 0, "int64", "big"), "5");
  assert.equal(decode(words, 3, "text", "big"), "AB");
});

test("what goes beyond the last register is no value", () => {
  assert.equal(decode([1, 2], 1, "uint32", "big"), null);
});

test("a word has four digits", () => {
  assert.equal(hex(255), "00ff");
});
