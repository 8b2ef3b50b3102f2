import assert from "node:assert/strict";
import { test } from "node:test";
import { Rate } from "../src/rate.ts";

test("a count grows by so much in a minute", () => {
  const rate = new Rate();
  rate.take(0, 100);
  assert.equal(rate.perMinute, null);
  rate.take(30, 130);
  assert.equal(rate.perMinute, 60);
});

test("what is longer ago than a minute does not count", () => {
  const rate = new Rate();
  rate.take(0, 0);
  rate.take(60, 600);
  rate.take(120, 600);
  assert.equal(rate.perMinute, 0);
});

test("a count that falls began anew", () => {
  const rate = new Rate();
  rate.take(0, 100);
  rate.take(10, 3);
  assert.equal(rate.perMinute, null);
  rate.take(20, 4);
  assert.equal(rate.perMinute, 6);
});
