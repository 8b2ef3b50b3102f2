// How fast a count grows.

const WINDOW_S = 60;

/** Follows a count, and tells by how much it grows in a minute; as far back as a minute. */
export class Rate {
  private samples: [at: number, count: number][] = [];

  /** Take the count at a time in seconds. One that fell began anew. */
  take(at: number, count: number): void {
    const last = this.samples.at(-1);
    if (last && count < last[1]) {
      this.samples = [];
    }
    this.samples.push([at, count]);
    while (this.samples.length > 2 && (this.samples[1] as [number, number])[0] <= at - WINDOW_S) {
      this.samples.shift();
    }
  }

  /** Null before two samples tell. */
  get perMinute(): number | null {
    const [first, last] = [this.samples[0], this.samples.at(-1)];
    if (!first || !last || last[0] <= first[0]) {
      return null;
    }
    return ((last[1] - first[1]) / (last[0] - first[0])) * 60;
  }
}
