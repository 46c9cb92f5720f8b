//! Patterns of hosts: `web[01:20]`, `db-[a:f].example.com:2222`.

use super::MOST_HOSTS;

/// The names that a pattern stands for, and the port that it names; or what is wrong with it.
pub(in crate::import) fn expand(pattern: &str) -> Result<(Vec<String>, Option<u16>), String> {
    if pattern.is_empty() || pattern.contains(char::is_whitespace) {
        return Err("this is no host pattern: it is empty or has blanks".to_owned());
    }
    if pattern.ends_with(':') && !pattern.ends_with("::") && !pattern.contains('[') {
        return Err("this host ends with a colon; after it the port is missing".to_owned());
    }
    let (names, port) = port(pattern)?;
    Ok((ranges(names)?, port))
}

/// Takes the port off. An address with several colons has none, unless it is in brackets.
fn port(pattern: &str) -> Result<(&str, Option<u16>), String> {
    let Some((head, digits)) = pattern.rsplit_once(':') else { return Ok((pattern, None)) };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Ok((pattern, None));
    }
    let bracketed =
        head.strip_prefix('[').and_then(|head| head.strip_suffix(']')).filter(|head| !head.contains(['[', ']']));
    let bare = bracketed.unwrap_or(head);
    // A colon between brackets is a range's.
    let mut depth = 0_usize;
    let has_colon = bare.chars().any(|c| {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ':' && depth == 0
    });
    // The last colon may stand inside a range itself: web[1:20].
    if (has_colon && bracketed.is_none()) || depth > 0 {
        return Ok((pattern, None));
    }
    match digits.parse() {
        Ok(port @ 1..) => Ok((bare, Some(port))),
        _ => Err(format!("{digits} is no port")),
    }
}

fn ranges(pattern: &str) -> Result<Vec<String>, String> {
    let Some(open) = pattern.find('[') else {
        return if pattern.contains(']') {
            Err("a bracket is closed that was not opened".to_owned())
        } else {
            Ok(vec![pattern.to_owned()])
        };
    };
    let (head, rest) = (&pattern[..open], &pattern[open + 1..]);
    let (range, tail) = rest.split_once(']').ok_or("a range is not closed: ] is missing")?;
    let tails = ranges(tail)?;
    let middles = one(range)?;
    if middles.len().saturating_mul(tails.len()) > MOST_HOSTS {
        return Err(format!("this range stands for more than {MOST_HOSTS} hosts"));
    }
    Ok(middles.iter().flat_map(|middle| tails.iter().map(move |tail| format!("{head}{middle}{tail}"))).collect())
}

/// `01:20`, `1:20:2` or `a:f`.
fn one(range: &str) -> Result<Vec<String>, String> {
    let wrong = |why: &str| format!("the range [{range}] {why}");
    let parts: Vec<&str> = range.split(':').collect();
    let (first, last, step) = match parts[..] {
        [first, last] => (first, last, 1),
        [first, last, step] => {
            (first, last, step.parse().ok().filter(|n| *n > 0).ok_or_else(|| wrong("has a step that is no number"))?)
        }
        _ => return Err(wrong("is not of the form [first:last] or [first:last:step]")),
    };
    let first = if first.is_empty() { "0" } else { first };
    if let (Some(first), Some(last)) = (letter(first), letter(last)) {
        if first > last {
            return Err(wrong("ends before it begins"));
        }
        return Ok(LETTERS[first..=last].chars().step_by(step).map(String::from).collect());
    }
    let number = |text: &str| text.parse::<u32>().map_err(|_| wrong("is neither of numbers nor of single letters"));
    let (from, to) = (number(first)?, number(last)?);
    let width = if first.len() > 1 && first.starts_with('0') { first.len() } else { 0 };
    if width > 0 && width != last.len() {
        return Err(wrong("has a first and a last number of different length"));
    }
    if from > to {
        return Err(wrong("ends before it begins"));
    }
    if (to - from) as usize / step >= MOST_HOSTS {
        return Err(wrong(&format!("stands for more than {MOST_HOSTS} hosts")));
    }
    Ok((from..=to).step_by(step).map(|number| format!("{number:0width$}")).collect())
}

const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

fn letter(text: &str) -> Option<usize> {
    if text.len() == 1 { LETTERS.find(text) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(pattern: &str) -> Vec<String> {
        expand(pattern).unwrap().0
    }

    #[test]
    fn ranges_count_as_ansible_counts_them() {
        assert_eq!(names("web[08:11]"), ["web08", "web09", "web10", "web11"]);
        assert_eq!(names("web[1:7:3].x"), ["web1.x", "web4.x", "web7.x"]);
        assert_eq!(names("db-[a:c]"), ["db-a", "db-b", "db-c"]);
        assert_eq!(names("r[1:2]n[:1]"), ["r1n0", "r1n1", "r2n0", "r2n1"]);
    }

    #[test]
    fn a_port_is_told_from_a_range_and_from_an_address() {
        assert_eq!(expand("web[1:2]:2222"), Ok((vec!["web1".into(), "web2".into()], Some(2222))));
        assert_eq!(expand("web[1:2]"), Ok((vec!["web1".into(), "web2".into()], None)));
        assert_eq!(expand("2001:db8::1"), Ok((vec!["2001:db8::1".into()], None)));
        assert_eq!(expand("[2001:db8::1]:2222"), Ok((vec!["2001:db8::1".into()], Some(2222))));
    }

    #[test]
    fn what_is_no_range_is_refused_and_a_slip_makes_no_million_hosts() {
        for bad in [
            "",
            "a b",
            "web:",
            "web[1]",
            "web[1:",
            "web1]",
            "web[3:1]",
            "web[c:a]",
            "web[01:100]",
            "web[1:x]",
            "web[1:9:0]",
            "web[1:99999999]",
            "a[1:999]b[1:999]",
            "web:99999",
        ] {
            assert!(expand(bad).is_err(), "{bad}");
        }
    }
}
