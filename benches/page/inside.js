// What is put into the page and into its worker to watch them. These functions are sent to the browser as text, so each
// stands alone.

/** Runs before the page's own scripts: notes what passes between page and worker, frames, and keys until they show. */
export function watchPage() {
  const seen = { steps: {}, first: {}, acknowledged: [], frames: [], keys: [] };
  window.klimbSeen = seen;
  const sent = new Map();
  const heard = {
    Metrics: ([stage, rows]) => {
      seen.first[stage] ??= performance.now();
      seen.steps[stage] = (seen.steps[stage] ?? 0) + rows.length;
    },
    Acknowledged: (id) => seen.acknowledged.push(performance.now() - sent.get(id)),
  };
  window.Worker = class extends Worker {
    constructor(...options) {
      super(...options);
      this.addEventListener('message', ({ data: events }) => {
        for (const event of events) {
          const [name, content] = Object.entries(event)[0];
          heard[name]?.(content);
        }
      });
    }

    postMessage(order) {
      sent.set(order.id, performance.now());
      super.postMessage(order);
    }
  };

  // By the clock: the time that a frame is told is the one it was meant to have.
  const frame = () => {
    seen.frames.push(performance.now());
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);

  let pressed;
  document.addEventListener('keydown', ({ timeStamp }) => { pressed = timeStamp; }, { capture: true });
  document.addEventListener('DOMContentLoaded', () => {
    const answered = () => {
      if (pressed !== undefined) seen.keys.push(performance.now() - pressed);
      pressed = undefined;
    };
    const change = { childList: true, characterData: true, subtree: true };
    new MutationObserver(answered).observe(document.querySelector('#beta-value'), change);
  });
}

/** Presses play at the first moment a person could. */
export function playAtOnce() {
  document.addEventListener('DOMContentLoaded', () => {
    const play = document.querySelector('#play');
    const watch = new MutationObserver(() => {
      if (play.disabled) return;
      watch.disconnect();
      play.click();
    });
    watch.observe(play, { attributes: true });
  });
}

/** Keeps a worker's counts of calls whenever the engine reports steps: it reports between two of them, never within. */
export function reportCalls(calls) {
  const reports = [];
  self.klimbReports = reports;
  const post = self.postMessage.bind(self);
  self.postMessage = (events, ...options) => {
    const rows = events.filter((event) => event.Metrics).map((event) => event.Metrics[1].length);
    if (rows.length > 0) reports.push({ steps: rows.reduce((a, b) => a + b), calls: { ...calls } });
    return post(events, ...options);
  };
}
