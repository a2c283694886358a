// Shows the progress while an engine is fetched or compiled: a line for each step, and a progress text. On a terminal that
// text rewrites itself in place; elsewhere it is a line every 15 seconds.

export interface Reporter {
  line(text: string): void;
  /** Shows the progress text until the returned function is called. */
  progress(text: () => string): () => void;
}

const SECONDS_BETWEEN_LINES = 15;

export function reporterFor(log: ((line: string) => void) | undefined): Reporter {
  if (log !== undefined) return lineReporter(log);
  if (process.stderr.isTTY) return terminalReporter();
  return lineReporter((line) => process.stderr.write(`${line}\n`));
}

function lineReporter(log: (line: string) => void): Reporter {
  return {
    line: log,
    progress(text) {
      const timer = setInterval(() => log(text()), SECONDS_BETWEEN_LINES * 1000);
      return () => clearInterval(timer);
    },
  };
}

function terminalReporter(): Reporter {
  const clearLine = "\r\u001b[K";
  return {
    line: (text) => process.stderr.write(`${text}\n`),
    progress(text) {
      const draw = () => process.stderr.write(clearLine + text().slice(0, (process.stderr.columns ?? 80) - 1));
      draw();
      const timer = setInterval(draw, 1000);
      return () => {
        clearInterval(timer);
        process.stderr.write(clearLine);
      };
    },
  };
}

/** `0:07`, `4:48`. */
export function elapsed(sinceMs: number): string {
  const seconds = Math.round((Date.now() - sinceMs) / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
