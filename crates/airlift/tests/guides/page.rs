//! A guide as parts to follow. Comments before a block tell what readers know by themselves:
//!
//! ```text
//! <!-- file: NAME -->       the block is what this file of the project holds
//! <!-- not run: WHY -->     the block cannot be run in a test
//! <!-- run: COMMAND -->     something that readers have done, or that happens to them
//! <!-- wait for: COMMAND -->  until this succeeds: readers are slower than tests
//! ```
//!
//! Everything else in a block of kind `console` or `sh` is run.

/// A guide.
pub(crate) struct Page {
    pub(crate) name: String,
    pub(crate) parts: Vec<Part>,
}

/// A part that is followed.
pub(crate) enum Part {
    File { name: String, content: String },
    NotRun(String),
    Run(String),
    WaitFor(String),
    Commands(Vec<Command>),
}

/// A command, and the lines that the guide shows after it.
pub(crate) struct Command {
    pub(crate) typed: String,
    pub(crate) shown: Vec<String>,
}

impl Page {
    pub(crate) fn read(name: &str, text: &str) -> Self {
        let mut parts = Vec::new();
        let mut about: Option<(String, String)> = None;
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some((key, value)) = comment(line) {
                match key {
                    "run" => parts.push(Part::Run(value.to_owned())),
                    "wait for" => parts.push(Part::WaitFor(value.to_owned())),
                    "file" | "not run" => about = Some((key.to_owned(), value.to_owned())),
                    // A comment of somebody else's. One of ours that is misspelt leaves a block to run that cannot be.
                    _ => {}
                }
                continue;
            }
            let Some(kind) = line.strip_prefix("```") else { continue };
            let block: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
            match (about.take(), kind) {
                (Some((key, value)), _) if key == "file" => {
                    parts.push(Part::File { name: value, content: block.join("\n") + "\n" });
                }
                (Some((_, why)), _) => parts.push(Part::NotRun(why)),
                (None, "console") => parts.push(Part::Commands(commands(name, &block))),
                (None, "sh") => {
                    parts
                        .push(Part::Commands(vec![Command { typed: block.join("\n"), shown: vec!["…".to_owned()] }]));
                }
                (None, _) => {}
            }
        }
        assert!(about.is_none(), "{name}: a comment has no block");
        Self { name: name.to_owned(), parts }
    }
}

/// `<!-- key: value -->`
fn comment(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("<!-- ")?.strip_suffix(" -->")?.split_once(": ")
}

fn commands(name: &str, block: &[&str]) -> Vec<Command> {
    let mut commands: Vec<Command> = Vec::new();
    for line in block {
        match line.strip_prefix("$ ") {
            Some(typed) => commands.push(Command { typed: typed.to_owned(), shown: Vec::new() }),
            None => commands
                .last_mut()
                .unwrap_or_else(|| panic!("{name}: {line} stands before any command"))
                .shown
                .push((*line).to_owned()),
        }
    }
    commands
}
