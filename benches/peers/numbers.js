// Small statistics.

export function median(values) {
  const all = [...values].sort((a, b) => a - b);
  const middle = all.length >> 1;
  return all.length % 2 === 1 ? all[middle] : (all[middle - 1] + all[middle]) / 2;
}

export const round = (value, digits = 1) => Number(value.toFixed(digits));

/** Median, lowest and highest. */
export const spread = (values, digits) => [median(values), Math.min(...values), Math.max(...values)]
  .map((value) => round(value, digits));
