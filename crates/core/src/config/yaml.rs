//! YAML as a tree whose every node knows its place.
//!
//! What always holds: building never fails as a whole. What can be read is in the tree, what cannot is in the list of faults, and the
//! tree is bounded in depth and in size however aliases multiply it.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{self as granit, ErrorKind, Event, Marker, Parser, ScalarStyle};

use super::problem::{Code, Span};

/// Deep enough for any config, shallow enough for any stack.
const DEEPEST: usize = 32;
/// A config of 500 hosts has about 10,000 nodes.
const MOST_NODES: usize = 200_000;

/// A value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) at: Span,
    pub(crate) kind: Kind,
}

/// What YAML has.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// A scalar; `plain` when it stands without quotes, so that it may be a number, a truth value or nothing.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    /// Entries in the order of the file, duplicates among them.
    Map(Vec<(Node, Node)>),
    /// Something was here that could not be read and has been reported.
    Broken,
}

/// Something in the text that is not YAML, or not of the part of YAML that a config needs.
pub(crate) struct Fault {
    pub(crate) code: Code,
    pub(crate) at: Span,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

/// What a text holds.
pub(crate) struct Document {
    /// Nothing when the text is empty or broken from the start.
    pub(crate) root: Option<Node>,
    pub(crate) faults: Vec<Fault>,
    /// Where reading ended early: what stands before is in the tree, what follows is unknown.
    pub(super) broken_at: Option<usize>,
}

/// Reads one document.
pub(crate) fn read(text: &str) -> Document {
    let mut options = granit::Options::default();
    options.set_emit_comments(false);
    // An unquoted `*.log` reads as an alias; reading on past it keeps all other problems in view.
    options.emit_unresolved_aliases = true;
    options.flow_nesting_limit = DEEPEST;
    options.block_nesting_limit = DEEPEST;

    let mut tree =
        Builder { text, open: Vec::new(), root: None, anchors: HashMap::new(), nodes: 0, faults: Vec::new() };
    let mut broken_at = None;
    for next in Parser::new_from_str_with_options(text, options) {
        match next {
            Ok((event, span)) => {
                if let Err(fault) = tree.take(event, &span) {
                    broken_at = Some(fault.at.offset);
                    tree.faults.push(*fault);
                    break;
                }
            }
            Err(error) => {
                let at = span_between(text, error.marker(), error.marker());
                let (message, help) = explain(error.kind());
                broken_at = Some(at.offset);
                tree.faults.push(Fault { code: Code::Syntax, at, message, help });
                break;
            }
        }
    }
    while !tree.open.is_empty() {
        tree.close(broken_at.unwrap_or(text.len()));
    }
    Document { root: tree.root, faults: tree.faults, broken_at }
}

/// A collection that is still being read.
struct Open {
    at: Span,
    anchor: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    Map { entries: Vec<(Node, Node)>, key: Option<Node> },
}

struct Builder<'t> {
    text: &'t str,
    open: Vec<Open>,
    root: Option<Node>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    faults: Vec<Fault>,
}

impl Builder<'_> {
    /// Takes one event; an error ends the reading.
    fn take(&mut self, event: Event<'_>, span: &granit::Span) -> Result<(), Box<Fault>> {
        let at = span_between(self.text, &span.start, &span.end);
        self.refuse_tag(event.tag(), span);
        match event {
            Event::Scalar(value, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                let kind = if tag.is_some() { Kind::Broken } else { Kind::Scalar { text: value.into_owned(), plain } };
                self.add(Node { at, kind }, anchor)?;
            }
            Event::SequenceStart(_, anchor, _) => self.open.push(Open { at, anchor, kind: OpenKind::List(Vec::new()) }),
            Event::MappingStart(_, anchor, _) => {
                self.open.push(Open { at, anchor, kind: OpenKind::Map { entries: Vec::new(), key: None } });
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(at.offset + at.len),
            Event::Alias(anchor) => {
                let target = self.anchors.get(&anchor).cloned();
                let node = target.unwrap_or_else(|| {
                    self.fault(Code::Unsupported, at, "an alias cannot stand inside what it is an alias of", None);
                    Node { at, kind: Kind::Broken }
                });
                self.add(node, 0)?;
            }
            Event::UnresolvedAlias(_) => {
                // The text itself is not repeated: it may stand where a secret was put.
                let help = "text that begins with * has to be in quotes, as in \"*.log\"";
                self.fault(Code::Syntax, at, "YAML reads this as an alias, and nothing has that name", Some(help));
                self.add(Node { at, kind: Kind::Broken }, 0)?;
            }
            Event::DocumentStart(..) if self.root.is_some() => {
                return Err(Box::new(Fault {
                    code: Code::Unsupported,
                    at,
                    message: "a second document begins here".to_owned(),
                    help: Some("a config is one document; take out the line `---` and what follows".to_owned()),
                }));
            }
            _ => {}
        }
        Ok(())
    }

    fn refuse_tag(&mut self, tag: Option<&granit::Tag>, span: &granit::Span) {
        if tag.is_some() {
            let at = span.tag_span().map_or_else(
                || span_between(self.text, &span.start, &span.end),
                |tag| span_between(self.text, &tag.start, &tag.end),
            );
            let help = "text that begins with ! has to be in quotes, as in \"!keep\"";
            self.fault(Code::Unsupported, at, "YAML reads this as a tag, which a config has no use for", Some(help));
        }
    }

    fn fault(&mut self, code: Code, at: Span, message: &str, help: Option<&str>) {
        self.faults.push(Fault { code, at, message: message.to_owned(), help: help.map(str::to_owned) });
    }

    /// Puts a complete node where it belongs.
    fn add(&mut self, node: Node, anchor: usize) -> Result<(), Box<Fault>> {
        // What an alias repeats counts again: a few lines of nested aliases can stand for billions of nodes.
        self.nodes = self.nodes.saturating_add(node.size());
        if self.nodes > MOST_NODES || self.open.len() + node.depth() > 2 * DEEPEST {
            return Err(Box::new(Fault {
                code: Code::Unsupported,
                at: node.at,
                message: "the file is too large or too deep for a config".to_owned(),
                help: None,
            }));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.root = Some(node),
            Some(OpenKind::List(items)) => items.push(node),
            Some(OpenKind::Map { entries, key }) => match key.take() {
                None => *key = Some(node),
                Some(key) => entries.push((key, node)),
            },
        }
        Ok(())
    }

    /// Closes the innermost collection. In a broken text a last key may lack its value; it is left out.
    fn close(&mut self, end: usize) {
        let Some(open) = self.open.pop() else { return };
        let at = Span { len: first_line(self.text, open.at.offset, end), ..open.at };
        let kind = match open.kind {
            OpenKind::List(items) => Kind::List(items),
            OpenKind::Map { entries, .. } => Kind::Map(entries),
        };
        let node = Node { at, kind };
        // Its parts have been counted; a collection by itself adds one and no depth that its parts did not have.
        self.nodes = self.nodes.saturating_sub(node.size() - 1);
        if self.add(node, open.anchor).is_err() {
            self.fault(Code::Unsupported, at, "the file is too large or too deep for a config", None);
        }
    }
}

impl Node {
    /// Nothing, at no place.
    pub(crate) const NULL: Self = Self {
        at: Span { offset: 0, len: 0, line: 0, column: 0 },
        kind: Kind::Scalar { text: String::new(), plain: true },
    };

    /// The text of a scalar, unless it stands for nothing.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// The scalar is this very text.
    pub(crate) fn is_word(&self, word: &str) -> bool {
        matches!(&self.kind, Kind::Scalar { text, .. } if text == word)
    }

    /// The scalar stands for nothing.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// How many nodes it is made of.
    fn size(&self) -> usize {
        1 + match &self.kind {
            Kind::Scalar { .. } | Kind::Broken => 0,
            Kind::List(items) => items.iter().map(Self::size).sum(),
            Kind::Map(entries) => entries.iter().map(|(key, value)| key.size() + value.size()).sum(),
        }
    }

    fn depth(&self) -> usize {
        1 + match &self.kind {
            Kind::Scalar { .. } | Kind::Broken => 0,
            Kind::List(items) => items.iter().map(Self::depth).max().unwrap_or(0),
            Kind::Map(entries) => entries.iter().map(|(key, value)| key.depth().max(value.depth())).max().unwrap_or(0),
        }
    }
}

/// From one mark to another, as far as the first line goes.
fn span_between(text: &str, start: &Marker, end: &Marker) -> Span {
    let clamp = |marker: &Marker| text.floor_char_boundary(marker.byte_offset().unwrap_or(0).min(text.len()));
    let (offset, end) = (clamp(start), clamp(end));
    Span { offset, len: first_line(text, offset, end), line: start.line(), column: start.col() + 1 }
}

/// How much of what lies between is on the first line.
fn first_line(text: &str, start: usize, end: usize) -> usize {
    text.get(start..end).unwrap_or("").lines().next().unwrap_or("").trim_end().len()
}

/// The parser's errors in the words of a person who edits a config.
fn explain(kind: &ErrorKind) -> (String, Option<String>) {
    let (message, help) = match kind {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart => ("a tab stands where YAML wants spaces", "indent with spaces"),
        ErrorKind::UnclosedQuotedScalar | ErrorKind::InvalidQuotedScalarIndent => {
            ("a quote is opened before this place and not closed", "close it, on the line where it begins")
        }
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::ExpectedFlowSequenceSeparator
        | ErrorKind::ExpectedFlowMappingSeparator => (
            "a bracket or brace is not closed, or a comma is missing",
            "check the list or map that begins before this place",
        ),
        ErrorKind::MismatchedFlowCollectionEnd { .. } | ErrorKind::MisplacedFlowCollectionEnd => {
            ("a bracket or brace closes nothing", "check which one was opened")
        }
        ErrorKind::MappingValueNotAllowed | ErrorKind::MappingKeyNotAllowed | ErrorKind::InvalidColonPlacement => (
            "a key and a value cannot stand here",
            "check the indentation, and that brackets before are closed; a text with `: ` in it has to be in quotes",
        ),
        ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::InvalidIndentation
        | ErrorKind::BlockSequenceEntryNotAllowed => {
            ("this line does not fit the lines before it", "check its indentation: keys of one map begin in one column")
        }
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => (
            "this line is neither a `key: value` nor an item of a list",
            "put a colon and a space between key and value",
        ),
        ErrorKind::UnexpectedCharacter { character } => {
            let message = format!("no value can begin with {character:?}");
            return (message, Some("put the value in quotes".to_owned()));
        }
        ErrorKind::MissingAnchorOrAliasName | ErrorKind::InvalidTagTerminator => {
            ("no value can begin with *, & or ! unless it is in quotes", "put the value in quotes")
        }
        ErrorKind::UnknownQuotedScalarEscape => {
            ("an unknown escape stands in a text in double quotes", "use single quotes, or write \\\\ for a backslash")
        }
        ErrorKind::RecursionLimitExceeded => return ("the file is too deep for a config".to_owned(), None),
        other => return (format!("this is not YAML: {other}"), None),
    };
    (message.to_owned(), Some(help.to_owned()))
}

/// What YAML's core schema takes for a truth value.
pub(crate) fn is_truth(text: &str) -> bool {
    matches!(text, "true" | "True" | "TRUE" | "false" | "False" | "FALSE")
}

/// A whole number in digits.
pub(super) fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// What YAML's core schema takes for a number (YAML 1.2.2, section 10.3.2).
pub(crate) fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let in_base = |prefix, radix| {
        text.strip_prefix(prefix)
            .is_some_and(|digits: &str| !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix)))
    };
    is_whole(text)
        || in_base("0x", 16)
        || in_base("0o", 8)
        || matches!(unsigned, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN")
        || (unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
            && unsigned.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b))
            && unsigned.parse::<f64>().is_ok())
}
