package io.secretslots.client;

import java.util.List;

/**
 * The server and its store.
 *
 * @param version the server's version
 * @param epoch the store's history
 * @param revision the store's revision
 * @param features names of optional features that are switched on
 * @param limits the bounds that requests are held to
 */
public record ServerInfo(
    String version, String epoch, long revision, List<String> features, Limits limits) {
  /**
   * The bounds that requests are held to.
   *
   * @param maxValueBytes largest value
   * @param maxNameBytes longest name
   * @param maxSlotsPerSecret most slot numbers of one secret
   * @param maxWatchNames most names of one set
   * @param maxCommentBytes longest comment
   * @param maxLabels most labels of one secret
   * @param maxPageSize largest page of a list
   */
  public record Limits(
      int maxValueBytes,
      int maxNameBytes,
      int maxSlotsPerSecret,
      int maxWatchNames,
      int maxCommentBytes,
      int maxLabels,
      int maxPageSize) {}
}
