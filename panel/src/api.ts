// Written by tools/panel_types.py from panel_api.py of the integration: change that, and run
// python -m tools.panel_types

/** One message of a stream. */
export interface Changes {
  /** Whether it has everything, as the first one has. */
  full?: boolean;
  /** By item, the fields that have another value; all of them of an item that is new. */
  changed?: Record<string, Record<string, unknown>>;
  removed?: string[];
}

/** No field. */
export interface Nothing {
}

/** A link, by the id of its entry. Times are epoch seconds. */
export interface LinkItem {
  title: string;
  kind: string;
  /** Whether its points can be sent at once, to see what becomes of them. */
  can_try: boolean;
  /** That of the config entry: loaded, setup_retry … */
  state: string;
  /** Whether it sends or serves points; else it brings values in, or takes commands. */
  forwards: boolean;
  device_id: string | null;
  /** How often its points go out; None where they do as they change. */
  interval_s: number | null;
  connected: boolean | null;
  queued: number | null;
  oldest_at: number | null;
  delivered: number | null;
  dropped: number | null;
  refused: number | null;
  last_delivery: number | null;
  last_error: string | null;
  last_error_detail: string | null;
}

/** A point of a link. */
export interface PointItem {
  entry_id: string;
  subentry_id: string;
  /** The title of the subentry. */
  subentry: string;
  subentry_type: string;
  /** Whether the subentry has a table of points, which can be edited. */
  has_table: boolean;
  /** None when it is gone. */
  entity_id: string | null;
  /** On the platform. */
  name: string;
  unit: string | null;
  factor: number;
  take: string;
  guard: boolean | null;
  /** What would go out now. */
  sent: number | null;
  /** Why nothing would, or `stale` for what goes out marked as old. */
  problem: string | null;
}

/** Which points. */
export interface PointsRequest {
  /** Of this entry alone. */
  entry_id?: string;
  /** Whether to tell what would go out of each, too. */
  values: boolean;
}

/** The rows of the table of a device, as its form has them. */
export interface CheckRequest {
  entry_id: string;
  subentry_id: string;
  rows: Record<string, unknown>[];
}

/** What would go out of a row. */
export interface RowValue {
  sent: number | null;
  /** Why nothing would. */
  problem: string | null;
}

/** What is wrong with a row. */
export interface Mistake {
  index: number;
  /** Of the text of the error. */
  key: string;
  about: string;
}

/** What would become of the rows. */
export interface CheckAnswer {
  /** Of each row. */
  values: RowValue[];
  mistakes: Mistake[];
}

/** Which link. */
export interface EntryRequest {
  entry_id: string;
}

/** A message of a link, without what is secret. */
export interface MessageItem {
  /** Epoch seconds. */
  at: number;
  direction: "in" | "out";
  kind: string;
  about: string;
  /** In bytes. */
  size: number;
  /** A long one is cut. */
  body: string;
  /** After how long it was acknowledged or answered. */
  confirmed_s: number | null;
  /** The words of whoever did not take it. */
  refused: string | null;
}

/** What to do with which refused messages of a link. */
export interface RefusedRequest {
  entry_id: string;
  todo: "list" | "retry" | "delete";
  /** All of them where it is left out. */
  ids?: number[];
}

/** A message that the platform refused. */
export interface RefusedMessage {
  id: number;
  kind: string;
  device: string;
  at: string;
  samples: number;
  refused_at: string;
  reason: string;
  body: string;
}

/** What is in the lane of the refused messages now. */
export interface RefusedAnswer {
  /** The newest. */
  messages: RefusedMessage[];
  total: number;
}

/** What became of a point that was sent to try it. */
export interface TriedItem {
  /** The title of the subentry. */
  subentry: string;
  name: string;
  outcome: "taken" | "waiting" | "refused" | "no_value";
  value: number | null;
  /** The words of the platform; of a point without a value, why it has none. */
  why: string | null;
}

/** What became of the points of a link. */
export interface TriedAnswer {
  points: TriedItem[];
}

/** A meter that is read, by the id of its subentry. */
export interface MeterItem {
  entry_id: string;
  name: string;
  unit_id: number;
  model: string;
  answering: boolean;
  /** How long its last answer took. */
  answer_s: number | null;
  /** In so many seconds a silent meter is asked again. */
  next_attempt_s: number;
  last_error: string | null;
  /** So many the last reads took, by what was read. */
  requests: Record<string, number>;
  /** The quantities whose registers it refuses. */
  refused: string[];
}

/** Which registers of which meter. */
export interface RegistersRequest {
  entry_id: string;
  subentry_id: string;
  space: "input" | "holding";
  address: number;
  count: number;
}

/** Where a quantity of the meter is. */
export interface RegisterPlace {
  quantity: string;
  address: number;
  count: number;
  type: string;
  word_order: string;
}

/** What was read. */
export interface RegistersAnswer {
  words: number[];
  known: RegisterPlace[];
}

export interface Answers {
  "grid_telemetry/check": [request: CheckRequest, item: CheckAnswer];
  "grid_telemetry/refused": [request: RefusedRequest, item: RefusedAnswer];
  "grid_telemetry/registers": [request: RegistersRequest, item: RegistersAnswer];
  "grid_telemetry/try": [request: EntryRequest, item: TriedAnswer];
}

export interface Streams {
  "grid_telemetry/links": [request: Nothing, item: LinkItem];
  "grid_telemetry/points": [request: PointsRequest, item: PointItem];
  "grid_telemetry/traffic": [request: EntryRequest, item: MessageItem];
  "grid_telemetry/meters": [request: Nothing, item: MeterItem];
}
