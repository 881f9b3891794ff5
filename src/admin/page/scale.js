// Where the ticks of an axis are: round numbers upwards, round local times sideways.

/** Round values from 0 to at least `most`, at most five of them, all whole. */
export function ticks(most) {
  if (most <= 0) return [0, 1];
  const rough = most / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, Math.ceil([1, 2, 5, 10].find((one) => one * power >= rough) * power));
  const values = [0];
  while (values[values.length - 1] < most) values.push(values.length * step);
  return values;
}

const MINUTE = 60_000;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720].map((minutes) => minutes * MINUTE);

/** Round local times after `start` and before `end`, so few that each has `room` of `width`. */
export function times(start, end, width, room) {
  const step = STEPS.find((one) => (one / (end - start)) * width >= room) ?? STEPS[STEPS.length - 1];
  const zone = new Date(start).getTimezoneOffset() * MINUTE;
  const values = [];
  for (let at = Math.ceil((start - zone) / step) * step + zone; at < end; at += step) values.push(at);
  return values;
}

/**
 * Sums of `values`, of which each stands for `step` and the last ends at `end`, over buckets of
 * `bucket`; the buckets cover `span` and the last one includes `end`. `take` says how two values
 * of a bucket become one.
 */
export function buckets(values, { end, step, bucket, span, take = (a, b) => a + b }) {
  const last = Math.ceil(end / bucket) * bucket;
  const columns = Math.round(span / bucket);
  const sums = new Array(columns).fill(0);
  const start = last - columns * bucket;
  values.forEach((value, at) => {
    const begin = end - (values.length - at) * step;
    const column = Math.floor((begin - start) / bucket);
    if (column >= 0 && column < columns) sums[column] = take(sums[column], value);
  });
  return { start, sums };
}
