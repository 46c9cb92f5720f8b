//! Counting tests: the `test result:` lines of a `cargo test` output, added up while it passes through.

use std::fmt;
use std::io::{self, BufRead, Write};

/// How many tests did what. Its display is the last line that `check` prints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

impl Tally {
    /// Copies `from` to `to` line by line, as it comes, and adds up the results on the way.
    pub(crate) fn of(mut from: impl BufRead, mut to: impl Write) -> io::Result<Self> {
        let mut sum = Self::default();
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line)? > 0 {
            to.write_all(&line)?;
            to.flush()?;
            if let Some(one) = Self::parse(&String::from_utf8_lossy(&line)) {
                sum.passed += one.passed;
                sum.failed += one.failed;
                sum.skipped += one.skipped;
            }
            line.clear();
        }
        Ok(sum)
    }

    /// Reads `test result: ok. 3 passed; 0 failed; 1 ignored; …`, coloured or not; nothing else is a result.
    fn parse(line: &str) -> Option<Self> {
        let line = without_colours(line);
        let (verdict, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        if !matches!(verdict, "ok" | "FAILED") {
            return None;
        }
        let mut counts = counts.split("; ");
        let mut count = |of: &str| counts.next()?.strip_suffix(of)?.trim_end().parse().ok();
        Some(Self { passed: count("passed")?, failed: count("failed")?, skipped: count("ignored")? })
    }
}

/// Takes out the escape sequences that colour text (`ESC [ … m`).
fn without_colours(line: &str) -> String {
    let mut parts = line.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    plain.extend(parts.map(|part| part.split_once('m').map_or(part, |(_, text)| text)));
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(output: &str) -> Tally {
        Tally::of(output.as_bytes(), io::sink()).unwrap()
    }

    #[test]
    fn the_results_of_all_test_programs_are_added_up() {
        let output = "\
running 4 tests
test a ... ok
test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

     Running tests/sim.rs
test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 5 filtered out; finished in 1.25s
   Doc-tests airlift_engine
test result: ok. 7 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.40s
";
        assert_eq!(tally(output), Tally { passed: 20, failed: 2, skipped: 1 });
    }

    #[test]
    fn colours_do_not_hide_a_result() {
        let line = "test result: \u{1b}[32mok\u{1b}[m. 3 passed; 0 failed; 1 ignored; 0 measured\n";
        assert_eq!(tally(line), Tally { passed: 3, failed: 0, skipped: 1 });
    }

    #[test]
    fn only_whole_results_at_the_start_of_a_line_count() {
        let output = "\
  test result: ok. 1 passed; 0 failed; 0 ignored
test result: fine. 1 passed; 0 failed; 0 ignored
test result: ok. 1 passed
test result: ok. one passed; 0 failed; 0 ignored
";
        assert_eq!(tally(output), Tally::default());
    }

    #[test]
    fn output_passes_through_unchanged_even_where_it_is_not_text() {
        let output = b"one\n\xff\xfe two\nno newline at the end";
        let mut copy = Vec::new();
        Tally::of(&output[..], &mut copy).unwrap();
        assert_eq!(copy, output);
    }

    #[test]
    fn the_last_line_is_plain() {
        assert_eq!(Tally { passed: 20, failed: 2, skipped: 1 }.to_string(), "20 passed, 2 failed, 1 skipped");
    }
}
