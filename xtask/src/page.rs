//! A Markdown page as the link check reads it: its links and its anchors, outside of code.
//!
//! Reads inline links and link definitions. HTML is not read, nor is an inline link that goes over the end of a line.

use std::collections::BTreeSet;

/// What matters of a page.
pub(crate) struct Page {
    /// Line and target of each link.
    pub(crate) links: Vec<(usize, String)>,
    /// The anchor of each heading.
    pub(crate) anchors: BTreeSet<String>,
}

impl Page {
    pub(crate) fn read(text: &str) -> Self {
        let mut page = Self { links: Vec::new(), anchors: BTreeSet::new() };
        let mut fence: Option<&str> = None;
        for (number, line) in (1..).zip(text.lines()) {
            let marker = ["```", "~~~"].into_iter().find(|marker| line.trim_start().starts_with(marker));
            match (fence, marker) {
                (None, Some(_)) => fence = marker,
                (Some(open), Some(close)) if open == close => fence = None,
                (Some(_), _) => {}
                (None, None) => page.read_line(number, line),
            }
        }
        page
    }

    fn read_line(&mut self, number: usize, line: &str) {
        if let Some(title) = heading(line) {
            self.add_anchor(&slug(title));
        }
        let line = without_code(line);
        let definition = line.trim_start().strip_prefix('[').and_then(|rest| rest.split_once("]:"));
        if let Some((_, target)) = definition {
            self.add_link(number, target.trim_start());
        }
        // A link's text may hold an image with a link of its own, so only what follows `](` is looked at.
        for rest in line.split("](").skip(1) {
            self.add_link(number, rest);
        }
    }

    /// `rest` begins with the target and goes on with whatever follows it.
    fn add_link(&mut self, number: usize, rest: &str) {
        let target = match rest.strip_prefix('<') {
            Some(rest) => rest.split('>').next(),
            None => rest.split([')', ' ']).next(),
        };
        if let Some(target) = target.filter(|target| !target.is_empty()) {
            self.links.push((number, target.to_owned()));
        }
    }

    /// A heading that occurs again gets a number.
    fn add_anchor(&mut self, slug: &str) {
        let numbered = (1..).map(|n| format!("{slug}-{n}"));
        let anchor = std::iter::once(slug.to_owned()).chain(numbered).find(|anchor| !self.anchors.contains(anchor));
        self.anchors.extend(anchor);
    }
}

fn heading(line: &str) -> Option<&str> {
    let title = line.trim_start_matches('#');
    let level = line.len() - title.len();
    ((1..=6).contains(&level) && title.starts_with(' ')).then(|| title.trim())
}

/// The anchor that GitHub and its like make of a heading.
fn slug(title: &str) -> String {
    let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The line without its code spans. A backtick without a partner is text.
fn without_code(line: &str) -> String {
    let parts: Vec<&str> = line.split('`').collect();
    let spans = (parts.len() - 1) / 2;
    let text = parts.iter().enumerate().filter(|(i, _)| i % 2 == 0 || *i > spans * 2);
    text.map(|(_, part)| *part).collect()
}
