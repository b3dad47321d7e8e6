package io.secretslots.client;

import io.secretslots.v1.WatchView;

/** Which slots of a secret a set follows. */
public enum View {
  /** Every enabled slot. */
  ALL_ENABLED(WatchView.WATCH_VIEW_ALL_ENABLED),
  /** The current slot alone: {@code effectiveAt} and {@code acceptable} see that one. */
  CURRENT(WatchView.WATCH_VIEW_CURRENT);

  final WatchView wire;

  View(WatchView wire) {
    this.wire = wire;
  }
}
