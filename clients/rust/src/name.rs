//! What a caller may pass: names of secrets and numbers of slots. Checked before anything is sent.

use crate::error::{Error, Result};

/// The largest slot number and revision: 2^63−1.
pub const MAX_NUMBER: u64 = i64::MAX as u64;

const MAX_NAME_BYTES: usize = 255;
const MAX_NAMES: usize = 1_000;

pub(crate) fn check_number(field: &str, number: u64) -> Result<u64> {
    if number > MAX_NUMBER {
        return Err(Error::invalid(field, "must be 0 to 2^63-1"));
    }
    Ok(number)
}

pub(crate) fn check_name(name: &str) -> Result<()> {
    let bytes_ok = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte));
    let segments_ok = name.split('/').all(|segment| !matches!(segment, "" | "." | ".."));
    if bytes_ok && segments_ok && name.len() <= MAX_NAME_BYTES {
        return Ok(());
    }
    Err(Error::invalid(
        "name",
        "must be 1 to 255 bytes: segments of A-Z a-z 0-9 . _ - joined by /, none empty, none . or ..",
    ))
}

/// The names in the order given, repeats dropped.
pub(crate) fn check_names<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Result<Vec<String>> {
    let mut unique: Vec<String> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for name in names.into_iter().map(Into::into) {
        check_name(&name)?;
        if seen.insert(name.clone()) {
            unique.push(name);
        }
    }
    if unique.is_empty() || unique.len() > MAX_NAMES {
        return Err(Error::invalid("names", "must be 1 to 1,000 names"));
    }
    Ok(unique)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_rejected_never_normalised() {
        for good in ["a", "app/db", "A-Z._9/x", &"n".repeat(255)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "/", "a//b", "/a", "a/", ".", "a/../b", "a b", "ü", "a\n", &"n".repeat(256)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_set_has_1_to_1000_names_and_repeats_are_dropped() {
        assert_eq!(check_names(["b", "a", "b"]).unwrap(), ["b", "a"]);
        assert!(check_names(Vec::<String>::new()).is_err());
        assert!(check_names((0..1_000).map(|i| format!("n{i}"))).is_ok());
        assert!(check_names((0..1_001).map(|i| format!("n{i}"))).is_err());
    }

    #[test]
    fn numbers_end_at_two_to_the_63() {
        assert_eq!(check_number("slot", MAX_NUMBER).unwrap(), 9_223_372_036_854_775_807);
        assert_eq!(check_number("slot", MAX_NUMBER + 1).unwrap_err().metadata()["field"], "slot");
    }
}
