//! What came of a bench: sections with rows and goals, as a table for the terminal, as Markdown, as JSON.

mod markdown;
mod table;

use serde::Serialize;

pub(crate) use self::markdown::{into_page, markdown};
pub(crate) use self::table::{aligned, table};

/// One run of the bench.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// When it began, in UTC.
    pub(crate) at: String,
    /// The commit, and whether the checkout had changes.
    pub(crate) commit: String,
    /// The machine, in words.
    pub(crate) machine: String,
    /// Rounds that counted.
    pub(crate) rounds: usize,
    /// What was measured, and with what.
    pub(crate) versions: Vec<(String, String)>,
    pub(crate) sections: Vec<Section>,
}

/// A scenario.
#[derive(Debug, Serialize)]
pub(crate) struct Section {
    pub(crate) scenario: String,
    pub(crate) title: String,
    /// How it was measured.
    pub(crate) method: String,
    pub(crate) rows: Vec<Row>,
    pub(crate) goals: Vec<Goal>,
    pub(crate) notes: Vec<String>,
}

/// One contender. Medians, but for memory, which is the most of all rounds.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) wall_s: Option<f64>,
    /// The operator's side, all processes.
    pub(crate) cpu_s: Option<f64>,
    /// The hosts' side: sshd and what ran there.
    pub(crate) hosts_cpu_s: Option<f64>,
    /// Largest resident set of one process on the operator's side, in bytes.
    pub(crate) memory: Option<u64>,
    /// Bytes from the operator to the hosts, on the wire.
    pub(crate) sent: Option<u64>,
    /// Why it has no figures.
    pub(crate) failed: Option<String>,
    /// Wall time of each round.
    pub(crate) walls_s: Vec<f64>,
}

/// What a figure should be.
#[derive(Debug, Serialize)]
pub(crate) struct Goal {
    pub(crate) what: String,
    pub(crate) measured: Option<f64>,
    pub(crate) limit: f64,
    pub(crate) bound: Bound,
    pub(crate) unit: &'static str,
}

/// On which side of its limit a figure should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtMost,
    AtLeast,
}

impl Row {
    pub(crate) fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

impl Goal {
    pub(crate) fn at_most(what: impl Into<String>, measured: Option<f64>, limit: f64, unit: &'static str) -> Self {
        Self { what: what.into(), measured, limit, bound: Bound::AtMost, unit }
    }

    pub(crate) fn at_least(what: impl Into<String>, measured: Option<f64>, limit: f64, unit: &'static str) -> Self {
        Self { what: what.into(), measured, limit, bound: Bound::AtLeast, unit }
    }

    /// A ratio of two figures that should be at most `limit`.
    pub(crate) fn ratio(what: impl Into<String>, ours: Option<f64>, theirs: Option<f64>, limit: f64) -> Self {
        Self::at_most(what, ours.zip(theirs).map(|(ours, theirs)| ours / theirs), limit, "×")
    }

    pub(crate) fn is_met(&self) -> Option<bool> {
        self.measured.map(|measured| match self.bound {
            Bound::AtMost => measured <= self.limit,
            Bound::AtLeast => measured >= self.limit,
        })
    }

    /// The word for how it came out.
    pub(crate) fn verdict(&self) -> &'static str {
        match self.is_met() {
            Some(true) => "met",
            Some(false) => "missed",
            None => "not measured",
        }
    }

    pub(crate) fn limit_in_words(&self) -> String {
        let word = match self.bound {
            Bound::AtMost => "≤",
            Bound::AtLeast => "≥",
        };
        format!("{word} {} {}", figure(self.limit), self.unit)
    }

    pub(crate) fn measured_in_words(&self) -> String {
        self.measured.map_or_else(|| "–".to_owned(), |measured| format!("{} {}", figure(measured), self.unit))
    }
}

/// The contender of this name.
pub(crate) fn named<'r>(rows: &'r [Row], name: &str) -> Option<&'r Row> {
    rows.iter().find(|row| row.name == name)
}

/// The contender with the least of something, among those that a predicate holds for.
pub(crate) fn least(rows: &[Row], takes_part: impl Fn(&Row) -> bool, of: impl Fn(&Row) -> Option<f64>) -> Option<&Row> {
    let measured = rows.iter().filter(|row| takes_part(row) && of(row).is_some());
    measured.min_by(|a, b| of(a).partial_cmp(&of(b)).unwrap_or(std::cmp::Ordering::Equal))
}

/// A number with as many digits as say something.
pub(crate) fn figure(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.1 || size == 0.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Bytes as whole or tenths of megabytes (a million bytes).
pub(crate) fn megabytes(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "sizes here are far below 2^53")]
    let bytes = bytes as f64;
    bytes / 1e6
}

#[cfg(test)]
mod tests;
