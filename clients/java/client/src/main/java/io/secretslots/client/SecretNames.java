package io.secretslots.client;

import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.regex.Pattern;

/** The names of a set. */
final class SecretNames {
  private static final int MAX_NAMES = 1000;
  private static final int MAX_BYTES = 255;
  private static final Pattern FORM =
      Pattern.compile("(?!\\.{1,2}(?:/|$))[A-Za-z0-9._-]+(?:/(?!\\.{1,2}(?:/|$))[A-Za-z0-9._-]+)*");

  private SecretNames() {}

  /** Without repeats, in the order given. */
  static List<String> checked(Collection<String> names) {
    List<String> unique = List.copyOf(new LinkedHashSet<>(names));
    if (unique.isEmpty() || unique.size() > MAX_NAMES) {
      throw SlotsException.invalid("a set has 1 to 1,000 names, not " + unique.size());
    }
    for (String name : unique) {
      if (name.getBytes(StandardCharsets.UTF_8).length > MAX_BYTES
          || !FORM.matcher(name).matches()) {
        throw SlotsException.invalid("\"" + name + "\" is no secret's name");
      }
    }
    return unique;
  }
}
