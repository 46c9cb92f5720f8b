//! Texts that are not what they should be: placeholders that nobody filled in, and secrets in the wrong place.
//!
//! What always holds: nothing here keeps or repeats a text that it judges.

/// The text was put there for a person to replace.
pub(super) fn is_placeholder(text: &str) -> bool {
    let text = text.trim();
    let lower = text.to_lowercase();
    let word: String = lower.chars().map(|c| if matches!(c, '_' | ' ') { '-' } else { c }).collect();
    let in_brackets = text.len() > 2 && text.starts_with('<') && text.ends_with('>');
    let known = matches!(
        word.as_str(),
        "todo" | "tbd" | "fixme" | "changeme" | "change-me" | "replaceme" | "replace-me" | "placeholder" | "..." | "…"
    );
    let crosses = word.len() >= 3 && word.bytes().all(|b| b == b'x');
    let yours = word.starts_with("your-") && word.ends_with("-here");
    in_brackets
        || known
        || crosses
        || yours
        || lower.contains("<your")
        || text.contains("CHANGEME")
        || text.contains("CHANGE_ME")
}

/// Words in the names of variables that usually hold secrets.
const SECRET_WORDS: [&str; 9] =
    ["PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "TOKEN", "APIKEY", "CREDENTIAL", "CREDENTIALS", "PWD"];
/// Pairs of words that do so together.
const SECRET_PAIRS: [(&str, &str); 5] =
    [("API", "KEY"), ("PRIVATE", "KEY"), ("ACCESS", "KEY"), ("ENCRYPTION", "KEY"), ("SIGNING", "KEY")];
/// Last words that say that the variable only speaks about a secret.
const ABOUT: [&str; 12] =
    ["FILE", "PATH", "DIR", "URL", "URI", "ENDPOINT", "NAME", "ID", "TTL", "LENGTH", "TYPE", "EXPIRY"];
/// How the secrets of well-known services begin.
const PREFIXES: [&str; 12] = [
    "AKIA",
    "ASIA",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "sk-",
    "sk_live_",
    "-----BEGIN ",
];

/// A variable's value is probably a secret, by its name or by its looks.
pub(super) fn looks_secret(name: &str, value: &str) -> bool {
    has_secret_name(name, value) || has_secret_value(value)
}

fn has_secret_name(name: &str, value: &str) -> bool {
    let upper = name.to_uppercase();
    let words: Vec<&str> = upper.split('_').filter(|word| !word.is_empty()).collect();
    // PWD alone is the shell's own: the working directory.
    let named = words.iter().any(|word| SECRET_WORDS.contains(word)) && upper != "PWD"
        || words.windows(2).any(|pair| SECRET_PAIRS.contains(&(pair[0], pair[1])));
    let about = words.last().is_some_and(|last| ABOUT.contains(last));
    let harmless = value.len() < 4
        || value.starts_with(['/', '~', '.', '$'])
        || value.parse::<f64>().is_ok()
        || matches!(
            value.to_lowercase().as_str(),
            "true" | "false" | "none" | "null" | "auto" | "required" | "optional"
        );
    named && !about && !harmless
}

fn has_secret_value(value: &str) -> bool {
    let prefixed = PREFIXES.iter().any(|prefix| value.starts_with(prefix)) && value.len() >= 16;
    let web_token = value.starts_with("eyJ") && value.matches('.').count() == 2;
    prefixed || web_token || has_login(value)
}

/// A URL with a password in it: `scheme://user:password@host`.
fn has_login(value: &str) -> bool {
    let Some((_, rest)) = value.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    let Some((login, _)) = authority.rsplit_once('@') else { return false };
    login.split_once(':').is_some_and(|(_, password)| !password.is_empty() && !password.starts_with('$'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_told_from_values() {
        for text in [
            "<your-fleet>",
            "CHANGEME",
            "changeme",
            "Change_Me",
            "TODO",
            "xxx",
            "XXXX",
            "your-api-key-here",
            "ubuntu@<your-host>",
            "<host>",
            "CHANGEME.example.com",
        ] {
            assert!(is_placeholder(text), "{text}");
        }
        for text in ["hello", "todo-app", "xx", "xenon", "your-app", "a<b", "<", "<>", "changes"] {
            assert!(!is_placeholder(text), "{text}");
        }
    }

    #[test]
    fn secrets_are_told_by_name_or_by_looks_and_settings_about_them_are_left_alone() {
        for (name, value) in [
            ("DB_PASSWORD", "hunter2"),
            ("PASSWORD", "hunter2"),
            ("TOKEN", "abcdef"),
            ("stripe_api_key", "abcdef"),
            ("AWS_SECRET_ACCESS_KEY", "abcdef"),
            ("X", "AKIAIOSFODNN7EXAMPLE"),
            ("DATABASE_URL", "postgres://app:hunter2@db/app"),
            ("X", "eyJhbGciOiJI.eyJzdWIiOiIx.SflKxw"),
        ] {
            assert!(looks_secret(name, value), "{name}");
        }
        for (name, value) in [
            ("GREETING", "hello"),
            ("TOKEN_TTL", "3600 seconds"),
            ("SECRET_FILE", "somewhere"),
            ("DB_PASSWORD", "/run/secrets/db"),
            ("TOKEN_LIMIT", "4096"),
            ("PWD", "somewhere"),
            ("USE_TOKEN", "false"),
            ("DATABASE_URL", "postgres://db.example.com/app"),
            ("DATABASE_URL", "postgres://app:$PW@db/app"),
            ("MONKEY", "banana"),
        ] {
            assert!(!looks_secret(name, value), "{name}");
        }
    }
}
