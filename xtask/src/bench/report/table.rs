//! Columns for the terminal and for Markdown, from the same cells.

use super::{Row, Section, figure, megabytes};

/// A heading and the cells of a section; columns that are empty everywhere are left out.
pub(crate) fn table(section: &Section) -> Vec<Vec<String>> {
    let mut rows = vec![headings()];
    rows.extend(section.rows.iter().map(|row| cells(row, &section.rows[0])));
    let kept: Vec<usize> =
        (0..rows[0].len()).filter(|&column| rows.iter().skip(1).any(|row| !row[column].is_empty())).collect();
    rows.into_iter().map(|row| kept.iter().map(|&column| row[column].clone()).collect()).collect()
}

fn headings() -> Vec<String> {
    ["", "wall s", "× airlift", "CPU s", "× airlift", "hosts' CPU s", "memory MB", "sent MB", ""]
        .map(str::to_owned)
        .into()
}

fn cells(row: &Row, first: &Row) -> Vec<String> {
    let number = |value: Option<f64>| value.map(figure).unwrap_or_default();
    let times = |value: Option<f64>, of: Option<f64>| number(value.zip(of).map(|(value, of)| value / of));
    vec![
        row.name.clone(),
        number(row.wall_s),
        times(row.wall_s, first.wall_s),
        number(row.cpu_s),
        times(row.cpu_s, first.cpu_s),
        number(row.hosts_cpu_s),
        number(row.memory.map(megabytes)),
        number(row.sent.map(megabytes)),
        row.failed.as_ref().map(|why| format!("failed: {why}")).unwrap_or_default(),
    ]
}

/// Lines with aligned columns.
pub(crate) fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(column, cell)| match column {
            0 => format!("{cell:<width$}", width = widths[0]),
            _ => format!("{cell:>width$}", width = widths[column]),
        });
        format!("  {}", cells.collect::<Vec<_>>().join("  ")).trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}
