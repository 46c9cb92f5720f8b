//! "Did you mean": the name that was probably meant.
//!
//! What always holds: a suggestion is one of the candidates, and is close enough that a person sees why.

/// The candidate nearest to `name`, if one is near: a slip of the keyboard away, the same but for case and hyphens, or the only one
/// that has `name` as one of its words.
///
/// ```
/// use airlift_core::config::nearest;
/// let keys = ["connect_timeout", "keepalive", "identity_files"];
/// assert_eq!(nearest("conect_timeout", keys), Some("connect_timeout"));
/// assert_eq!(nearest("Keep-Alive", keys), Some("keepalive"));
/// assert_eq!(nearest("timeout", keys), Some("connect_timeout"));
/// assert_eq!(nearest("colour", keys), None);
/// ```
pub fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    let plain = folded(name);
    // One slip in four characters: more than that and the two words merely share letters.
    let furthest = (plain.chars().count() / 4).max(1);
    let by_distance = candidates
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(&plain, &folded(candidate)), *candidate))
        .filter(|(distance, candidate)| *distance <= furthest && *distance < candidate.len())
        .min_by_key(|(distance, candidate)| (*distance, candidate.len().abs_diff(name.len())))
        .map(|(_, candidate)| candidate);
    by_distance.or_else(|| {
        let mut sharing = candidates.iter().filter(|candidate| candidate.split(['_', '-']).any(|word| word == name));
        sharing.next().filter(|_| sharing.next().is_none()).copied()
    })
}

fn folded(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '-' | '_' | ' ')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_merely_share_letters_are_not_suggested() {
        assert_eq!(nearest("ssl", ["ssh"]), Some("ssh"));
        assert_eq!(nearest("x", ["y"]), None);
        assert_eq!(nearest("", ["ssh", "a"]), None);
        assert_eq!(nearest("foo", ["fleet", "env", "run"]), None);
        assert_eq!(nearest("timeout", ["upload_timeout", "connect_timeout"]), None);
    }

    #[test]
    fn the_nearest_of_several_wins() {
        assert_eq!(nearest("hots", ["hosts", "host"]), Some("host"));
        assert_eq!(nearest("hossts", ["host", "hosts"]), Some("hosts"));
    }
}
