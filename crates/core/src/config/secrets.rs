//! Where secrets come from, and the refusal of those that are written into the config.
//!
//! What always holds: no message repeats a value that stands below `secrets`.

use super::model::{Command, SecretSource, default_secret_timeout};
use super::problem::Code;
use super::reader::Value;

const EXPECTED: &str = "one of {file: …}, {env: …} and {command: …}";

/// Reads one source.
pub(super) fn source(value: &Value<'_>) -> Option<SecretSource> {
    if value.is_text() {
        return refuse_plain(value);
    }
    value.section(EXPECTED, |keys| {
        let file = keys.get("file").map(|v| v.parse().map(|file| SecretSource::File { file }));
        let env = keys.get("env").map(|v| v.parse().map(|env| SecretSource::Env { env }));
        let command = keys.get("command").map(|v| {
            let timeout = keys.read("timeout", |v| v.duration("1s", "1h")).unwrap_or_else(default_secret_timeout);
            command(&v).map(|command| SecretSource::Command { command, timeout })
        });
        let sources = [file, env, command];
        if keys.rest().any(|key| matches!(key, "value" | "plain" | "text" | "data" | "content" | "literal")) {
            return refuse_plain(value);
        }
        let mut sources = sources.into_iter().flatten();
        match (sources.next(), sources.next()) {
            (Some(source), None) => source,
            (Some(_), Some(_)) => {
                value.complain(Code::Conflict, format!("{} has more than one source", value.path()), |p| {
                    p.expected(EXPECTED)
                })
            }
            (None, _) if keys.rest().next().is_none() => {
                value.complain(Code::Missing, format!("{} has no source", value.path()), |p| p.expected(EXPECTED))
            }
            (None, _) => None,
        }
    })?
}

/// The value is not shown, nor is its length.
fn refuse_plain(value: &Value<'_>) -> Option<SecretSource> {
    let name = value.path().rsplit('.').next().unwrap_or_default().to_owned();
    value.complain(Code::PlainSecret, format!("the value of the secret {name} is written into the config"), |p| {
        p.expected(EXPECTED).help(format!(
            "put it into a file that is not shared and write `{name}: {{file: secrets/{name}}}`; if the config was shared, change the secret"
        ))
    })
}

fn command(value: &Value<'_>) -> Option<Command> {
    if value.is_text() {
        return value.text().map(|line| Command::Shell(line.to_owned()));
    }
    let argv = value.filled_list("a line for sh, or a list of a program and its arguments", |item| {
        item.filled(item.scalar()?).map(str::to_owned)
    })?;
    if argv.first().is_some_and(String::is_empty) {
        return value
            .complain(Code::Empty, format!("{} names no program", value.path()), |p| p.expected("the program first"));
    }
    Some(Command::Argv(argv))
}
