// Small statistics.

const sorted = (values) => [...values].sort((a, b) => a - b);

/** The value that a share of all values does not exceed. */
export function quantile(values, share) {
  const all = sorted(values);
  return all[Math.min(all.length - 1, Math.ceil(share * all.length) - 1)];
}

export const median = (values) => quantile(values, 0.5);

export const round = (value, digits = 1) => Number(value.toFixed(digits));
