//! The report as Markdown, and its place in a page.

use std::fmt::Write as _;

use super::{Report, Section, table};

const BEGIN: &str = "<!-- bench: begin, written by `cargo xtask bench --write` -->";
const END: &str = "<!-- bench: end -->";

/// The whole report.
pub(crate) fn markdown(report: &Report) -> String {
    let mut text = format!(
        "Measured {} at commit {} on {}; medians of {} rounds.\n\n{}",
        report.at,
        report.commit,
        report.machine,
        report.rounds,
        goals(&report.sections)
    );
    for section in &report.sections {
        let _ = write!(text, "\n### {}\n\n{}\n\n{}", section.title, section.method, rows(&table(section)));
        for note in &section.notes {
            let _ = write!(text, "\n{note}\n");
        }
    }
    let versions: Vec<String> = report.versions.iter().map(|(name, version)| format!("{name}: {version}")).collect();
    let _ = write!(text, "\n### Versions\n\n{}\n", versions.join(" · "));
    text
}

/// Every goal of every section, in one table.
fn goals(sections: &[Section]) -> String {
    let mut lines = vec![["scenario", "goal", "limit", "measured", ""].map(str::to_owned).to_vec()];
    for section in sections {
        lines.extend(section.goals.iter().map(|goal| {
            let verdict = match goal.is_met() {
                Some(false) => format!("**{}**", goal.verdict()),
                _ => goal.verdict().to_owned(),
            };
            vec![section.scenario.clone(), goal.what.clone(), goal.limit_in_words(), goal.measured_in_words(), verdict]
        }));
    }
    rows(&lines)
}

fn rows(lines: &[Vec<String>]) -> String {
    let escaped = |cell: &String| cell.replace('|', "\\|");
    let line = |cells: &[String]| format!("| {} |\n", cells.iter().map(escaped).collect::<Vec<_>>().join(" | "));
    let Some((heading, rest)) = lines.split_first() else { return String::new() };
    let rule = vec!["---".to_owned(); heading.len()];
    [line(heading), line(&rule)].into_iter().chain(rest.iter().map(|cells| line(cells))).collect()
}

/// The page with `report` between its markers in place of what is there. None where the page has no markers.
pub(crate) fn into_page(page: &str, report: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{report}\n{END}{after}"))
}
