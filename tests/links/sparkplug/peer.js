// A host application from what others wrote: the packages sparkplug-payload and mqtt from npm.
// It prints what it decodes, a line of JSON each, and writes the metric that it is told to.
"use strict";

const [port, username, password, hostId, group, node, device, metric, value] = process.argv.slice(2);
const mqtt = require("mqtt");
const { encodePayload, decodePayload } = require("sparkplug-payload").get("spBv1.0");

const state = `spBv1.0/STATE/${hostId}`;
const timestamp = Date.now();
const say = (online) => JSON.stringify({ online, timestamp });
const client = mqtt.connect(`mqtt://127.0.0.1:${port}`, {
  username,
  password,
  clientId: "peer",
  will: { topic: state, payload: say(false), qos: 1, retain: true },
});
const plain = (key, found) =>
  found !== null && typeof found === "object" && "low" in found && "high" in found
    ? Number(found.toString())
    : found;
let written = false;

client.on("connect", () => {
  client.subscribe("spBv1.0/#", { qos: 1 }, () => {
    client.publish(state, say(true), { qos: 1, retain: true });
  });
});
client.on("message", (topic, message, packet) => {
  const [, , kind] = topic.split("/");
  if (topic.includes("/STATE/") || kind === "DCMD") return;
  const payload = decodePayload(message);
  console.log(JSON.stringify({ topic, qos: packet.qos, retain: packet.retain, payload }, plain));
  if (kind === "DBIRTH" && !written) {
    written = true;
    const command = { timestamp: Date.now(), metrics: [{ name: metric, type: "Double", value: Number(value) }] };
    client.publish(`spBv1.0/${group}/DCMD/${node}/${device}`, encodePayload(command));
  }
});
