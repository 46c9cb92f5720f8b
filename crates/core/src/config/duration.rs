//! Durations as a person writes them: `30s`, `5m`, `1h30m`, `7d`.
//!
//! What always holds: a duration has a unit, and what is written here reads back as itself.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serializer;

/// What a duration should look like.
pub(super) const EXPECTED: &str = "a duration such as 30s, 5m, 1h30m or 7d";

const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

/// Other words for the units, as they are met in the wild.
const WORDS: [(&str, &[&str]); 4] = [
    ("s", &["sec", "secs", "second", "seconds"]),
    ("m", &["min", "mins", "minute", "minutes"]),
    ("h", &["hr", "hrs", "hour", "hours"]),
    ("d", &["day", "days"]),
];

/// Reads numbers with units, the larger units first, each at most once.
///
/// ```
/// use airlift_core::config::parse_duration;
/// assert_eq!(parse_duration("1h30m"), Some(std::time::Duration::from_secs(5_400)));
/// assert_eq!(parse_duration("30"), None);
/// ```
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut units = UNITS.iter();
    let mut rest = text;
    let mut seconds = 0_u64;
    while !rest.is_empty() {
        let (number, unit, after) = part(rest)?;
        let (_, size) = units.find(|(name, _)| *name == unit)?;
        seconds = seconds.checked_add(number.checked_mul(*size)?)?;
        rest = after;
    }
    (!text.is_empty()).then(|| Duration::from_secs(seconds))
}

/// A number and the letters that follow it, and what comes after.
fn part(text: &str) -> Option<(u64, &str, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, rest) = text.split_at(digits);
    let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let (unit, after) = rest.split_at(letters);
    Some((number.parse().ok()?, unit, after))
}

/// The shortest form that [`parse_duration`] reads back; fractions of a second are dropped.
pub fn format_duration(duration: Duration) -> String {
    let mut left = duration.as_secs();
    let mut text = String::new();
    for (unit, size) in UNITS {
        if left >= size {
            write!(text, "{}{unit}", left / size).expect("a string takes any text");
            left %= size;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// What was probably meant by a text that is no duration: `5 minutes` is `5m`.
pub(super) fn meant(text: &str) -> Option<String> {
    let text: String = text.split_whitespace().collect::<String>().to_lowercase();
    let (number, word, after) = part(&text)?;
    let unit = WORDS.iter().find(|(unit, words)| *unit == word || words.contains(&word)).map(|(unit, _)| unit)?;
    after.is_empty().then(|| format!("{number}{unit}"))
}

/// For a value that may be absent.
#[expect(clippy::ref_option, reason = "serde calls it with a reference to the field")]
pub(super) fn serialize_some<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => serialize(duration, serializer),
        None => serializer.serialize_none(),
    }
}

pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_duration(*duration))
}

/// The schema of a duration's text.
pub(super) struct Text;

impl JsonSchema for Text {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": EXPECTED,
            "type": "string",
            "pattern": "^(?=.)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_needs_its_unit_and_units_go_down() {
        let seconds = |text| parse_duration(text).map(|d| d.as_secs());
        assert_eq!(seconds("60s"), Some(60));
        assert_eq!(seconds("1d2h3m4s"), Some(93_784));
        assert_eq!(seconds("0s"), Some(0));
        for bad in [
            "",
            "5",
            "s",
            "5x",
            "5 m",
            "1.5h",
            "-1s",
            "1m1h",
            "1s1s",
            "1h30",
            "99999999999999999999s",
            "1000000000000000000d",
        ] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn words_for_units_are_understood_well_enough_to_suggest() {
        assert_eq!(meant("5 minutes").as_deref(), Some("5m"));
        assert_eq!(meant("30sec").as_deref(), Some("30s"));
        assert_eq!(meant("2 H").as_deref(), Some("2h"));
        assert_eq!(meant("5"), None);
        assert_eq!(meant("5 parsecs"), None);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(seconds in 0_u64..100_000_000) {
            let duration = Duration::from_secs(seconds);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Some(duration));
        }
    }
}
