package io.secretslots.driver;

import com.google.gson.Gson;

/** What a serialiser makes of things that were not made for it. */
final class Gsons {
  private Gsons() {}

  /** The JSON of an object's fields, or why there is none. */
  static String tryJson(Object thing) {
    try {
      return new Gson().toJson(thing);
    } catch (RuntimeException | StackOverflowError e) {
      return e.toString();
    }
  }
}
