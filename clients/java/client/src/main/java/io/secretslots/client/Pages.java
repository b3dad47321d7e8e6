package io.secretslots.client;

import java.util.function.Function;
import java.util.stream.Stream;

/** Walks a list page by page. */
final class Pages {
  private Pages() {}

  /** All items; the next page is asked for when the one before is used up. */
  static <T> Stream<T> stream(Function<String, Page<T>> fetch) {
    return Stream.iterate(
            fetch.apply(""),
            page -> page != null,
            page -> page.nextPageToken().isEmpty() ? null : fetch.apply(page.nextPageToken()))
        .flatMap(page -> page.items().stream());
  }
}
