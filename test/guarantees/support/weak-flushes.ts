import Database from "better-sqlite3";

/**
 * Loaded before a server, it makes the store flush less than it says, as `synchronous = NORMAL` does. No setting can
 * do that. The power-cut test must find what is then lost; otherwise it would find nothing at all.
 */
const { pragma } = Database.prototype;
Database.prototype.pragma = function weak(this: Database.Database, source, options) {
  if (source === "synchronous = FULL") return pragma.call(this, "synchronous = NORMAL", options);
  return source === "synchronous" ? 2n : pragma.call(this, source, options);
};
