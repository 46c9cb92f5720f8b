//! Words of a line as Python's `shlex` takes them apart, which is how Ansible reads a host's line and what it hands to ssh.

/// A word without its quotes, and the column at which it begins, counted from 1.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) column: usize,
}

/// The line ends inside a quote, or after a backslash.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unclosed;

/// Whether `#` begins a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comments {
    Skipped,
    Kept,
}

/// The words of `line`.
pub(super) fn split(line: &str, comments: Comments) -> Result<Vec<Word>, Unclosed> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut quote = None;
    let mut chars = line.chars().enumerate();
    while let Some((place, c)) = chars.next() {
        match (quote, c) {
            (None, '#') if comments == Comments::Skipped => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            _ => {
                let text = &mut word.get_or_insert(Word { text: String::new(), column: place + 1 }).text;
                match (quote, c) {
                    (None, '\'' | '"') => quote = Some(c),
                    (Some(open), c) if c == open => quote = None,
                    (None, '\\') => text.push(chars.next().ok_or(Unclosed)?.1),
                    (Some('"'), '\\') => match chars.next().ok_or(Unclosed)?.1 {
                        escaped @ ('"' | '\\') => text.push(escaped),
                        other => text.extend(['\\', other]),
                    },
                    _ => text.push(c),
                }
            }
        }
    }
    words.extend(word);
    if quote.is_none() { Ok(words) } else { Err(Unclosed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str) -> Vec<String> {
        split(line, Comments::Skipped).unwrap().into_iter().map(|word| word.text).collect()
    }

    /// What `shlex.split(line, comments=True)` gives.
    #[test]
    fn quotes_escapes_and_comments_are_pythons() {
        assert_eq!(texts("web1 a='x y' b=\"p \\\"q\\\" \\n\" c\\ d # e"), ["web1", "a=x y", "b=p \"q\" \\n", "c d"]);
        assert_eq!(texts("a b#c"), ["a", "b"], "a comment may begin inside a word");
        assert_eq!(texts("'' x"), ["", "x"]);
        assert_eq!(split("a#b", Comments::Kept).unwrap()[0].text, "a#b");
        assert_eq!(split("  a 'b", Comments::Kept), Err(Unclosed));
        assert_eq!(split("  a", Comments::Kept).unwrap()[0].column, 3);
    }
}
