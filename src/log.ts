import { type Logger, pino } from "pino";

export type { Logger };

/**
 * The operator's log: JSON lines on standard error, so that standard output holds nothing but the ready line.
 * Names that could hold a value or a token are redacted whatever somebody logs by mistake.
 */
export function createLogger(level: string): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: ["value", "token", "authorization", "*.value", "*.token", "*.authorization", "*.key"],
        censor: "[secret]",
      },
    },
    pino.destination({ dest: 2, sync: true }),
  );
}
