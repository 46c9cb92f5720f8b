//! Numbers and lists as people read them.
//!
//! Bytes are counted in powers of 1024 and say so: KiB, MiB, GiB. Durations have two units at most. JSON never uses
//! these: it has plain bytes, milliseconds and timestamps.

use std::time::Duration;

use airlift_core::id::HostId;

use super::style::Style;

/// `999 B`, `24.2 KiB`, `3.0 MiB`: one decimal from a kibibyte on.
pub fn bytes(count: u64) -> String {
    if count < 1024 {
        return format!("{count} B");
    }
    let mut names = ["KiB", "MiB", "GiB", "TiB", "PiB"].into_iter();
    let mut unit = 1024_u128;
    loop {
        let tenths = (u128::from(count) * 10 + unit / 2) / unit;
        // A count of 64 bits is less than 16.1 EiB, which is where the names end.
        let name = names.next().unwrap_or("EiB");
        if tenths < 10_240 {
            return format!("{}.{} {name}", tenths / 10, tenths % 10);
        }
        unit *= 1024;
    }
}

/// Bytes per second.
pub fn rate(per_second: u64) -> String {
    format!("{}/s", bytes(per_second))
}

/// `4.2 s`, `3 min 12 s`, `2 h 5 min`, `3 d 4 h`.
pub fn duration(span: Duration) -> String {
    let millis = span.as_millis();
    let tenths = (millis + 50) / 100;
    if tenths < 600 {
        return format!("{}.{} s", tenths / 10, tenths % 10);
    }
    let seconds = (millis + 500) / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours) {
        (0, 0) => format!("{minutes} min {} s", seconds % 60),
        (0, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// How long ago, for tables: `12s`, `3m`, `2h`, `4d`, rounded down.
pub fn age(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// `1 host`, `3 hosts`.
pub fn count(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// A number of things that are in a list.
pub fn len<T>(things: &[T]) -> u64 {
    things.len() as u64
}

/// Stretches of a list of hosts that are named one by one before the rest is only counted.
const STRETCHES: usize = 6;

/// `web/3`; `web/1 … web/3 (3)`; `db, web/1 … web/3, web/7 (5)`. The hosts are taken in their natural order.
pub fn hosts<'h>(hosts: impl IntoIterator<Item = &'h HostId>, style: Style) -> String {
    let mut sorted: Vec<&HostId> = hosts.into_iter().collect();
    sorted.sort_by_key(|host| host.sort_key());
    sorted.dedup();
    if let [one] = sorted[..] {
        return one.to_string();
    }
    let mut stretches: Vec<(&HostId, &HostId, usize)> = Vec::new();
    for host in &sorted {
        match stretches.last_mut() {
            Some((_, last, length)) if follows(last, host) => {
                *last = host;
                *length += 1;
            }
            _ => stretches.push((host, host, 1)),
        }
    }
    let mut named = 0;
    let mut parts: Vec<String> = stretches
        .iter()
        .take(STRETCHES)
        .map(|(first, last, length)| {
            named += length;
            match length {
                1 => first.to_string(),
                2 => format!("{first}, {last}"),
                _ => format!("{first} {} {last}", style.ellipsis()),
            }
        })
        .collect();
    if named < sorted.len() {
        parts.push(format!("{} more", sorted.len() - named));
    }
    format!("{} ({})", parts.join(", "), sorted.len())
}

fn follows(first: &HostId, second: &HostId) -> bool {
    let ((group, number), (next_group, next)) = (first.sort_key(), second.sort_key());
    group == next_group && number != 0 && number.checked_add(1) == Some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_one_decimal_and_never_reach_1024_of_a_unit() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (24_800, "24.2 KiB"),
            (1_048_575, "1.0 MiB"),
            (3 << 30, "3.0 GiB"),
            (u64::MAX, "16.0 EiB"),
        ];
        for (count, text) in cases {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn durations_have_two_units_at_most() {
        let cases = [
            (0, "0.0 s"),
            (4_249, "4.2 s"),
            (59_949, "59.9 s"),
            (59_950, "1 min 0 s"),
            (192_000, "3 min 12 s"),
            (3_599_600, "1 h 0 min"),
            (7_500_000, "2 h 5 min"),
            (273_600_000, "3 d 4 h"),
        ];
        for (millis, text) in cases {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn hosts_that_follow_one_another_are_one_stretch() {
        let list = |ids: &[&str]| {
            let ids: Vec<HostId> = ids.iter().map(|id| id.parse().unwrap()).collect();
            hosts(&ids, Style::PLAIN)
        };
        assert_eq!(list(&["web/3"]), "web/3");
        assert_eq!(list(&["web/10", "web/9", "web/11"]), "web/9 … web/11 (3)");
        assert_eq!(list(&["web/1", "web/2", "db", "web/7"]), "db, web/1, web/2, web/7 (4)");
        assert_eq!(list(&["app/1", "web/2"]), "app/1, web/2 (2)");
        let odd: Vec<HostId> = (0..20).map(|n| format!("web/{}", 2 * n + 1).parse().unwrap()).collect();
        assert_eq!(hosts(&odd, Style::PLAIN), "web/1, web/3, web/5, web/7, web/9, web/11, 14 more (20)");
    }
}
