//! The end of a change, for a person: how many hosts came out how, why those that did not succeed did not, and what to
//! do next.

use std::fmt::Write as _;

use airlift_core::decide::Verdict;
use airlift_core::event::ChangeEnd;
use airlift_core::id::HostId;
use airlift_core::op::Operation;

use super::fold::{Fold, HostState};
use super::output::Line;
use super::style::{Style, Tone};
use super::{Ending, How, clean, human, words};

/// Columns of a line of output in a summary.
pub const LONGEST: usize = 400;

/// Blocks that are shown before the rest is only counted.
const BLOCKS: usize = 20;

/// How much a summary tells of the hosts that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Nothing: it was told before.
    Headline,
    /// Which of them came out alike, and why; each was told of before, so that a single one is not told of again.
    Gathered,
    /// Why, and their last lines of output.
    Output,
}

/// The end of the change that `fold` shows, as lines.
pub fn summary(fold: &Fold, end: &Ending, detail: Detail, style: Style) -> String {
    let mut text = headline(fold, end, style) + "\n";
    let failed: Vec<(&HostId, &HostState)> = fold
        .hosts()
        .into_iter()
        .filter(|(_, state)| state.verdict.as_ref().is_some_and(|verdict| !verdict.is_success()))
        .collect();
    let told_before = match detail {
        Detail::Headline => true,
        Detail::Gathered => failed.len() < 2,
        Detail::Output => failed.is_empty(),
    };
    if !told_before {
        text += &blocks(fold, &failed, detail, style);
    }
    let hints = hints(fold, end, &failed, style);
    if !hints.is_empty() {
        let width = hints.iter().map(|(command, _)| clean::width(command)).max().unwrap_or(0);
        text.push('\n');
        for (command, what) in hints {
            let _ = writeln!(text, "  {}   {}", clean::pad(&command, width), style.paint(Tone::Faint, what));
        }
    }
    text
}

fn headline(fold: &Fold, end: &Ending, style: Style) -> String {
    let time = human::duration(end.elapsed);
    let so_far = || {
        let counts = fold.counts();
        let rest = counts.active + counts.waiting;
        let mut parts = vec![format!("{} of {} succeeded", counts.succeeded, human::count(counts.hosts, "host"))];
        parts.extend(others(counts.words.into_iter()));
        if rest > 0 {
            parts.push(format!("{rest} not finished"));
        }
        parts.join(", ")
    };
    let (tone, text) = match &end.how {
        How::Ended(ChangeEnd::Finished { hosts }) => {
            let all: u64 = hosts.values().sum();
            let good = hosts.get("succeeded").copied().unwrap_or(0);
            let mut parts = vec![format!("{good} of {} succeeded", human::count(all, "host"))];
            parts.extend(others(hosts.iter().map(|(word, n)| (word.as_str(), *n))));
            let text = match (all, &parts[..]) {
                (0, _) => format!("no hosts, in {time}"),
                (_, [all_of_it]) => format!("{all_of_it} in {time}"),
                _ => format!("{}, in {time}", parts.join(", ")),
            };
            (if good == all { Tone::Good } else { Tone::Bad }, text)
        }
        How::Ended(ChangeEnd::Aborted { message }) => {
            (Tone::Bad, format!("aborted after {time}: {}; {}", clean::message(message), so_far()))
        }
        How::Ended(ChangeEnd::Superseded { by }) => (Tone::Warn, format!("change {by} took its place; {}", so_far())),
        How::Ended(ChangeEnd::Shown { actions: 0 }) => (Tone::Ordinary, "dry run: nothing to do".to_owned()),
        How::Ended(ChangeEnd::Shown { actions }) => {
            (Tone::Ordinary, format!("dry run: {} would be taken; nothing was done", human::count(*actions, "action")))
        }
        How::Stopped => (Tone::Warn, format!("stopped after {time}: {}", so_far())),
        How::Detached => {
            let (going, not_begun) = unsettled(fold);
            let settled =
                if going + not_begun < fold.counts().hosts { format!(": {}", so_far()) } else { String::new() };
            let mut parts = Vec::new();
            if going > 0 || not_begun == 0 {
                parts.push(format!("{} {} on", human::count(going, "host"), if going == 1 { "goes" } else { "go" }));
            }
            if not_begun > 0 {
                parts.push(format!("on {} the script is not known to have started", human::count(not_begun, "host")));
            }
            (Tone::Warn, format!("detached after {time}; {}{settled}", parts.join("; ")))
        }
        // Why is the command's own error, which comes last.
        How::Halted { .. } => (Tone::Bad, format!("airlift stopped after {time}: {}", so_far())),
    };
    style.paint(tone, &text)
}

/// The hosts of a run that are not settled: how many have started the script, and how many have not.
fn unsettled(fold: &Fold) -> (u64, u64) {
    let open: Vec<bool> =
        fold.hosts().iter().filter(|(_, state)| state.verdict.is_none()).map(|(_, state)| state.started).collect();
    let going = open.iter().filter(|started| **started).count() as u64;
    (going, human::len(&open) - going)
}

/// Those that did not succeed, in a fixed order of words.
fn others<'w>(words: impl Iterator<Item = (&'w str, u64)>) -> Vec<String> {
    words
        .filter(|(word, n)| *word != "succeeded" && *n > 0)
        .map(|(word, n)| format!("{n} {}", words::spoken(word)))
        .collect()
}

/// Hosts that came out alike, and what there is to say of them.
struct Block<'f> {
    verdict: &'f Verdict,
    tail: Vec<&'f Line>,
    hosts: Vec<&'f HostId>,
}

fn blocks(fold: &Fold, failed: &[(&HostId, &HostState)], detail: Detail, style: Style) -> String {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    for (host, state) in failed {
        let Some(verdict) = &state.verdict else { continue };
        let tail: Vec<&Line> = if detail == Detail::Output { state.tail.iter().collect() } else { Vec::new() };
        match blocks.iter_mut().find(|block| block.verdict == verdict && block.tail == tail) {
            Some(block) => block.hosts.push(host),
            None => blocks.push(Block { verdict, tail, hosts: vec![host] }),
        }
    }
    let mut text = String::new();
    for block in blocks.iter().take(BLOCKS) {
        text += &block.text(fold.operation(), style);
    }
    let rest: u64 = blocks.iter().skip(BLOCKS).map(|block| human::len(&block.hosts)).sum();
    if rest > 0 {
        let _ = writeln!(text, "\n{} and {} more that did not succeed", style.ellipsis(), human::count(rest, "host"));
    }
    text
}

impl Block<'_> {
    fn text(&self, operation: Option<&Operation>, style: Style) -> String {
        let hosts = style.paint(Tone::Strong, &human::hosts(self.hosts.iter().copied(), style));
        let plain = words::verdict_word(self.verdict, operation);
        let word = style.paint(words::verdict_tone(self.verdict), plain);
        let message = self.verdict.message().unwrap_or_default();
        let mut lines = clean::lines(&message);
        let first = lines.next().unwrap_or_default();
        let mut text = match first.strip_prefix(plain) {
            _ if first.is_empty() => format!("\n{hosts}  {word}\n"),
            Some(rest) => format!("\n{hosts}  {word}{rest}\n"),
            None => format!("\n{hosts}  {word}: {first}\n"),
        };
        for line in lines {
            let _ = writeln!(text, "    {line}");
        }
        for line in &self.tail {
            let line = style.fit(&format!("    {} {}", line.source.mark(), line.text), LONGEST);
            let _ = writeln!(text, "{}", style.paint(Tone::Faint, line.trim_end()));
        }
        text
    }
}

/// What to do next, and what that does.
fn hints(fold: &Fold, end: &Ending, failed: &[(&HostId, &HostState)], style: Style) -> Vec<(String, &'static str)> {
    let mut hints = Vec::new();
    let run = fold.run();
    if let (How::Detached, Some(run)) = (&end.how, &run) {
        let back = if unsettled(fold).1 == 0 { "comes back to it" } else { "comes back to it, and starts the rest" };
        hints.push((format!("airlift attach {run}"), back));
        hints.push((format!("airlift cancel {run}"), "ends it on every host"));
        return hints;
    }
    if let (Some(run), Some((host, _))) = (&run, failed.iter().find(|(_, state)| has_printed(state))) {
        hints.push((format!("airlift logs {run} --host {host}"), "shows all that the host printed"));
    }
    match (&end.how, fold.operation()) {
        // How to go on is said with the command's error.
        (How::Halted { .. }, _) => {}
        (How::Stopped, _) => {
            let change = fold.change().map_or_else(String::new, |change| format!(" {change}"));
            hints.push((format!("airlift resume{change}"), "goes on where this stopped"));
        }
        (_, Some(Operation::Run(run))) if !failed.is_empty() => {
            let command = format!("airlift run {} --failed-of {}", style.ellipsis(), run.run);
            hints.push((command, "runs it again where it did not succeed"));
        }
        (_, Some(operation @ (Operation::Up(_) | Operation::Push(_) | Operation::Down(_)))) if !failed.is_empty() => {
            let by_bootstrap = |(_, state): &(&HostId, &HostState)| {
                let message = state.verdict.as_ref().and_then(Verdict::message);
                message.is_some_and(|message| message.starts_with("the bootstrap"))
            };
            let why = if failed.iter().any(by_bootstrap) {
                "tries again once the bootstrap is mended"
            } else {
                "tries again; what is done stays done"
            };
            hints.push((format!("airlift {}", operation.name()), why));
        }
        _ => {}
    }
    hints
}

fn has_printed(state: &HostState) -> bool {
    !state.tail.is_empty() || state.output.as_ref().is_some_and(|end| end.stdout.bytes + end.stderr.bytes > 0)
}
