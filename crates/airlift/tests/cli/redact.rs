//! Takes out of a text what differs from one run of a test to the next, and nothing else.

use std::sync::LazyLock;

use regex::Regex;

/// What is taken out, and what stands there instead. The order matters: ids go before the digests that they look like.
static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"\bc-[0-9a-z]{8}\b", "c-CHANGE"),
        (r"\br-[0-9a-z]{8}\b", "r-RUN"),
        (r"\bboot-[0-9a-f]{16}\b", "boot-RELEASE"),
        (r"\blocal-([a-z]+-[0-9]+)-[0-9a-f]{8}\b", "local-$1-ID"),
        (r"\b[0-9a-f]{64}\b", "SHA256"),
        (r"\b[0-9a-f]{12}\b", "SHORT"),
        (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
        (r"\b127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
        (r"\b\d+\.\d s\b", "TOOK"),
        (r"\b\d+[smh] ago\b", "AGO"),
        (r"\b[^@\s]+@[^,\s]+, pid \d+", "USER@MACHINE, pid PID"),
        (r"(TOOK +)[^\s|]+( +(ended|dry run): )", "${1}USER$2"),
        (r"((succeeded|failed) +TOOK +AGO +)\S+", "${1}USER"),
        (r"\b\d+ records", "N records"),
        // How well things compress differs between versions of what compresses.
        (r"\b\d+(\.\d)? (B|KiB)( sent|, \d+ piece|\))", "SIZE$3"),
    ]
    .into_iter()
    .map(|(pattern, instead)| (Regex::new(pattern).unwrap(), instead))
    .collect()
});

/// The text without what differs; `root` is the sandbox's folder.
pub(crate) fn text(text: &str, root: &str) -> String {
    let mut text = text.replace(root, "[ROOT]");
    for (pattern, instead) in RULES.iter() {
        text = pattern.replace_all(&text, *instead).into_owned();
    }
    // How wide columns are depends on what was taken out. Excerpts of a config keep their blanks: what is marked counts.
    let text: String =
        text.lines().map(|line| if line.starts_with(' ') { line.to_owned() } else { narrow(line) } + "\n").collect();
    by_host(&text)
}

/// Two blanks at most between two words.
fn narrow(line: &str) -> String {
    static WIDE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(\S) {2,}").unwrap());
    WIDE.replace_all(line, "$1  ").into_owned()
}

/// Hosts advance by themselves: the lines of each are put together, in the order of the first host's first line.
fn by_host(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    let host = |line: &&str| line.split_whitespace().find(|word| word.starts_with("web/")).map(str::to_owned);
    let mut start = 0;
    while start < lines.len() {
        let length = lines[start..].iter().take_while(|line| host(line).is_some()).count();
        lines[start..start + length].sort_by_key(host);
        start += length.max(1);
    }
    lines.join("\n") + "\n"
}
