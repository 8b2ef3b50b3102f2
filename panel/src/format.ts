// Numbers and times as people read them, in their language.

const UNITS: [seconds: number, unit: string][] = [
  [86400, "day"],
  [3600, "hour"],
  [60, "minute"],
  [1, "second"],
];

/** Return how long something took or is ago, in its largest whole unit. */
export function duration(language: string, seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [size, unit] = UNITS.find(([size]) => whole >= size) ?? [1, "second"];
  return new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "narrow" }).format(
    Math.floor(whole / size),
  );
}

export function number(language: string, value: number, digits = 6): string {
  return new Intl.NumberFormat(language, { maximumSignificantDigits: digits }).format(value);
}

/** Return a rate with no more digits than it is known by. */
export function rate(language: string, perMinute: number | null): string {
  if (perMinute === null) {
    return "–";
  }
  return number(language, perMinute, perMinute < 100 ? 2 : 4);
}
