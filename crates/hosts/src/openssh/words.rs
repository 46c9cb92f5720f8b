//! How OpenSSH cuts a line of its config into words. It has two ways, and both are here.
//!
//! What always holds: a quote that is not closed is found, and nothing is read beyond the end of the line.

/// What OpenSSH takes for blanks.
const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

/// The text without the blanks before it.
pub(super) fn trim_blanks(text: &str) -> &str {
    text.trim_start_matches(BLANKS)
}

/// A line without the blanks after it; a form feed is one there.
pub(super) fn trim_line(line: &str) -> &str {
    line.trim_end_matches([' ', '\t', '\r', '\n', '\u{c}'])
}

/// The first word and what follows it, the way keywords and criteria of `Match` are read: words end at blanks or at one
/// `=`, double quotes keep blanks inside. Nothing where a quote is not closed. Nothing follows where the line ends with
/// the word.
pub(super) fn next_word(text: &str) -> Option<(String, Option<&str>)> {
    let Some(end) = text.find(|c| BLANKS.contains(&c) || c == '"' || c == '=') else {
        return Some((text.to_owned(), None));
    };
    let (before, after) = (&text[..end], &text[end + 1..]);
    if text[end..].starts_with('"') {
        let (quoted, rest) = after.split_once('"')?;
        return Some((format!("{before}{quoted}"), Some(trim_blanks(rest))));
    }
    let rest = trim_blanks(after);
    let rest = match rest.strip_prefix('=') {
        Some(value) if !text[end..].starts_with('=') => trim_blanks(value),
        _ => rest,
    };
    Some((before.to_owned(), Some(rest)))
}

/// All words of a value: both kinds of quotes, backslashes before quotes, backslashes and blanks, a comment at the end.
/// Nothing where a quote is not closed.
pub(super) fn values(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(&next) = chars.peek() {
        match next {
            ' ' | '\t' => {
                chars.next();
            }
            '#' => break,
            _ => words.push(value(&mut chars)?),
        }
    }
    Some(words)
}

fn value(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<String> {
    let mut word = String::new();
    let mut quote = None;
    while let Some(c) = chars.next() {
        let escapes = |next: char| matches!(next, '\'' | '"' | '\\') || quote.is_none() && next == ' ';
        match c {
            '\\' => word.push(chars.next_if(|next| escapes(*next)).unwrap_or('\\')),
            ' ' | '\t' if quote.is_none() => return Some(word),
            '"' | '\'' if quote.is_none() => quote = Some(c),
            _ if quote == Some(c) => quote = None,
            _ => word.push(c),
        }
    }
    quote.is_none().then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyword_ends_at_a_blank_or_at_one_equals_sign() {
        for line in ["Port 22", "Port=22", "Port = 22", "Port\t=22", "\"Port\" 22", "Po\"rt\" 22"] {
            assert_eq!(next_word(line), Some(("Port".to_owned(), Some("22"))), "{line}");
        }
        assert_eq!(next_word("Port==22"), Some(("Port".to_owned(), Some("=22"))));
        assert_eq!(next_word("Port"), Some(("Port".to_owned(), None)));
        assert_eq!(next_word("\"Port 22"), None);
    }

    #[test]
    fn values_keep_what_is_quoted_or_escaped_and_nothing_of_a_comment() {
        let words = |text| values(text).unwrap();
        assert_eq!(words("a  b\tc # d"), ["a", "b", "c"]);
        assert_eq!(words("a#b"), ["a#b"]);
        assert_eq!(
            words(r#""a b" 'c "d"' e\ f "g\"h" "i\ j" k\l"#),
            ["a b", "c \"d\"", "e f", "g\"h", "i\\ j", "k\\l"]
        );
        assert_eq!(words("x\"y z\"w ''"), ["xy zw", ""]);
        assert_eq!(values("'a"), None);
        assert_eq!(values(r#"a" b"#), None);
    }
}
