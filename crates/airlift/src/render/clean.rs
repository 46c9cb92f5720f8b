//! What comes from hosts is shown, never interpreted: bytes become text that no terminal takes for a command.
//!
//! A tab stays. Every other control character, every byte that is not UTF-8 and every character that reorders or hides
//! text is written as its escape, such as `\x1b` or `\u{202e}`.

use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// One line of output, without its end, as text that is safe to show.
pub fn line(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        push(&mut shown, chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shown
}

/// A message that may hold words of a host: safe to show, each line of it for itself.
pub fn lines(message: &str) -> impl Iterator<Item = String> {
    message.trim_end().split('\n').map(|part| line(part.trim_end_matches('\r').as_bytes()))
}

/// A message on one line.
pub fn message(message: &str) -> String {
    lines(message).collect::<Vec<_>>().join("; ")
}

fn push(shown: &mut String, text: &str) {
    for c in text.chars() {
        if c == '\t' {
            shown.push(c);
        } else if c.is_control() && u32::from(c) <= 0xff {
            let _ = write!(shown, "\\x{:02x}", u32::from(c));
        } else if misleads(c) {
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
}

/// Line separators and the characters that change the direction of text (Unicode annex 9).
fn misleads(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// JSON in which strings have such characters escaped as well: the same value, and safe to show.
pub fn json(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || misleads(c) {
            let _ = write!(shown, "\\u{:04x}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// A text with such characters replaced by marks of the same length: offsets into it stay what they are.
pub fn in_place(text: &str) -> String {
    let stand_in = |c: char| match c.len_utf8() {
        _ if c == '\t' || c == '\n' || !(c.is_control() || misleads(c)) => c,
        1 => '?',
        2 => '¿',
        _ => char::REPLACEMENT_CHARACTER,
    };
    text.chars().map(stand_in).collect()
}

/// Columns that `text` takes.
pub fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// `text` in at most `room` columns, with `mark` where something was left out. Tabs become blanks.
pub fn fit(text: &str, room: usize, mark: &str) -> String {
    let text = text.replace('\t', " ");
    if width(&text) <= room {
        return text;
    }
    let room = room.saturating_sub(width(mark));
    let mut used = 0;
    let kept: String = text
        .chars()
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= room
        })
        .collect();
    kept.trim_end().to_owned() + mark
}

/// `text` with blanks behind it, up to `columns`.
pub fn pad(text: &str, columns: usize) -> String {
    let blanks = columns.saturating_sub(width(text));
    let mut padded = text.to_owned();
    padded.extend(std::iter::repeat_n(' ', blanks));
    padded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_a_host_reaches_the_terminal_as_a_command() {
        assert_eq!(line(b"\x1b]0;title\x07\x1b[2J"), "\\x1b]0;title\\x07\\x1b[2J");
        assert_eq!(line("\u{9b}31m".as_bytes()), "\\x9b31m");
        assert_eq!(line(b"a\rb\x7f\x00"), "a\\x0db\\x7f\\x00");
        assert_eq!(line("a\u{202e}b\u{2028}".as_bytes()), "a\\u{202e}b\\u{2028}");
    }

    #[test]
    fn text_and_tabs_stay_and_other_bytes_are_named() {
        assert_eq!(line("grüße\t✓ 漢字".as_bytes()), "grüße\t✓ 漢字");
        assert_eq!(line(b"ab\xff\xfec\xe2\x82"), "ab\\xff\\xfec\\xe2\\x82");
    }

    #[test]
    fn json_stays_the_same_value() {
        let value = serde_json::json!({"a\u{202e}": "\u{1b}[2J \u{9b}31m \u{7f} \u{2028} \"grüße\" \\ \n"});
        let shown = json(&value.to_string());
        assert!(!shown.chars().any(|c| c.is_control() || misleads(c)), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }

    #[test]
    fn places_in_a_text_stay_where_they_are() {
        let text = "a\u{1b}b\u{9b}c\u{202e}d\r\n\tü";
        let shown = in_place(text);
        assert_eq!(shown, "a?b¿c\u{fffd}d?\n\tü");
        assert_eq!(shown.len(), text.len());
    }

    #[test]
    fn what_is_cut_fits_also_where_characters_are_wide() {
        assert_eq!(fit("漢字漢字", 5, "…"), "漢字…");
        assert_eq!(fit("abc", 3, "…"), "abc");
        assert_eq!(fit("abcd", 3, "..."), "...");
        for room in 0..12 {
            assert!(width(&fit("a漢b字c漢d", room, "…")) <= room.max(1));
        }
    }

    #[test]
    fn a_message_of_several_lines_fits_on_one() {
        assert_eq!(message("one\r\ntwo\x1b[0m\n"), "one; two\\x1b[0m");
    }
}
