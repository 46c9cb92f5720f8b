//! Numbers, times and ports as OpenSSH writes them.

/// A whole number from 0.
pub(super) fn number(text: &str) -> Option<u32> {
    let number: i64 = text.trim_start().parse().ok()?;
    u32::try_from(number).ok().filter(|number| i32::try_from(*number).is_ok())
}

/// A time such as `90`, `2m` or `1h30m`, in seconds.
pub(super) fn seconds(text: &str) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    let mut total = 0_u32;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let count: u32 = rest[..digits].parse().ok()?;
        let unit = rest[digits..].chars().next();
        let seconds = match unit.map(|unit| unit.to_ascii_lowercase()) {
            None | Some('s') => 1,
            Some('m') => 60,
            Some('h') => 60 * 60,
            Some('d') => 24 * 60 * 60,
            Some('w') => 7 * 24 * 60 * 60,
            Some(_) => return None,
        };
        total = total.checked_add(count.checked_mul(seconds)?)?;
        rest = &rest[digits + unit.map_or(0, char::len_utf8)..];
    }
    i32::try_from(total).is_ok().then_some(total)
}

/// A port by its number, or by the name that the system has for it.
pub(super) fn port(text: &str) -> Option<u16> {
    match text.trim_start().parse::<i64>() {
        Ok(number) => u16::try_from(number).ok(),
        Err(_) => service(text),
    }
    .filter(|port| *port > 0)
}

fn service(name: &str) -> Option<u16> {
    let services = std::fs::read_to_string("/etc/services").ok()?;
    services.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let first = words.next()?;
        let port = words.next()?.strip_suffix("/tcp")?.parse().ok()?;
        (first == name || words.any(|alias| alias == name)).then_some(port)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_sums_of_units() {
        for (text, meant) in [("90", 90), ("2m", 120), ("1h30m", 5400), ("1W", 604_800), ("0", 0), ("1m5", 65)] {
            assert_eq!(seconds(text), Some(meant), "{text}");
        }
        for text in ["", "m", "1x", "-5", "5 m", "99999999999", "60000w"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn ports_are_between_1_and_65535() {
        assert_eq!(port("2222"), Some(2222));
        assert_eq!(port("+022"), Some(22));
        for text in ["0", "65536", "-1", "22x", "no-such-service"] {
            assert_eq!(port(text), None, "{text}");
        }
    }
}
