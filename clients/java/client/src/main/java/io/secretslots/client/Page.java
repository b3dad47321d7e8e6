package io.secretslots.client;

import java.util.List;

/**
 * One page of a list.
 *
 * @param items what is on it
 * @param nextPageToken asks for the next page; empty on the last
 * @param <T> what is listed
 */
public record Page<T>(List<T> items, String nextPageToken) {}
