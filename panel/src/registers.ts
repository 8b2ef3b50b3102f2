// What raw Modbus registers are by their type.

export type Order = "big" | "little";
export const TYPES = [
  "uint16",
  "int16",
  "uint32",
  "int32",
  "float32",
  "int64",
  "float64",
  "text",
] as const;
export type Type = (typeof TYPES)[number];

const WORDS: Record<Type, number> = {
  uint16: 1,
  int16: 1,
  uint32: 2,
  int32: 2,
  float32: 2,
  int64: 4,
  float64: 4,
  text: 1,
};

/** Return the value that begins at a place among registers; null where they end before it does. */
export function decode(words: number[], index: number, type: Type, order: Order): string | null {
  const count = WORDS[type];
  const taken = words.slice(index, index + count);
  if (taken.length < count) {
    return null;
  }
  const view = new DataView(new ArrayBuffer(2 * count));
  (order === "big" ? taken : taken.reverse()).forEach((word, place) => {
    view.setUint16(2 * place, word);
  });
  switch (type) {
    case "uint16":
      return String(view.getUint16(0));
    case "int16":
      return String(view.getInt16(0));
    case "uint32":
      return String(view.getUint32(0));
    case "int32":
      return String(view.getInt32(0));
    case "float32":
      return String(Number(view.getFloat32(0).toPrecision(7)));
    case "int64":
      return String(view.getBigInt64(0));
    case "float64":
      return String(view.getFloat64(0));
    case "text":
      return [view.getUint8(0), view.getUint8(1)]
        .map((code) => (code >= 32 && code < 127 ? String.fromCharCode(code) : "·"))
        .join("");
  }
}

export function hex(word: number): string {
  return word.toString(16).padStart(4, "0");
}
