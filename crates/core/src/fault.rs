//! Errors as text for a person: one line with every cause, nothing said twice.

use std::error::Error;

/// An error with its causes, in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Fault(&'static str, #[source] Option<Box<Fault>>);

    #[test]
    fn every_cause_is_named_once() {
        let error = Fault(
            "cannot start",
            Some(Box::new(Fault("no space: disk full", Some(Box::new(Fault("disk full", None)))))),
        );
        assert_eq!(chain(&error), "cannot start: no space: disk full");
    }
}
