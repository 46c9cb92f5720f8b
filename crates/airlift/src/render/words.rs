//! What happens, in words: the one place where events become sentences.

use airlift_core::action::{Action, HostAction, InstanceAction, Outcome, RunAction};
use airlift_core::decide::Verdict;
use airlift_core::event::{ChangeBegan, ChangeEnd, Event, Mode, Phase};
use airlift_core::history::{Failure, FailureClass};
use airlift_core::id::Digest;
use airlift_core::op::Operation;
use airlift_core::seen::Id;

use super::clean;
use super::human;
use super::style::Tone;

/// What is being done to a host while an action is under way: "delivering release 3f2a…".
pub fn doing(action: &Action) -> String {
    match action {
        Action::Instance(InstanceAction::Launch(_)) => "launching".to_owned(),
        Action::Instance(InstanceAction::Terminate(_)) => "terminating".to_owned(),
        Action::Host(HostAction::Install(_)) => "installing host.sh".to_owned(),
        Action::Host(HostAction::MakeKey(_)) => "making its own host key".to_owned(),
        Action::Host(HostAction::SwitchKey(_)) => "switching to its own host key".to_owned(),
        Action::Host(HostAction::Secrets(_)) => "placing secrets".to_owned(),
        Action::Host(HostAction::Deliver(action)) => format!("delivering release {}", action.release.short()),
        Action::Host(HostAction::Take(action)) => format!("taking release {}", action.release.short()),
        Action::Host(HostAction::Switch(action)) => format!("switching to release {}", release(action.to)),
        Action::Host(HostAction::Remove(_)) => "removing what airlift put there".to_owned(),
        Action::Run(RunAction::Stage(action)) => format!("sending {}", payload(&action.script, action.files)),
        Action::Run(RunAction::Start(action)) => format!("starting {}", clean::message(&action.script)),
        Action::Run(RunAction::Cancel(action)) => format!("cancelling {}", action.run),
    }
}

/// What was done to a host: "release 3f2a… delivered (24.2 KiB, 3 pieces)".
pub fn done(action: &Action, outcome: &Outcome) -> String {
    let what = match action {
        Action::Instance(InstanceAction::Launch(_)) => "launched".to_owned(),
        Action::Instance(InstanceAction::Terminate(_)) => "terminated".to_owned(),
        Action::Host(HostAction::Install(_)) => "host.sh installed".to_owned(),
        Action::Host(HostAction::MakeKey(_)) => "made a host key of its own".to_owned(),
        Action::Host(HostAction::SwitchKey(_)) => "switched to its own host key".to_owned(),
        Action::Host(HostAction::Secrets(action)) if action.names.is_empty() => "secrets removed".to_owned(),
        Action::Host(HostAction::Secrets(action)) => format!("secrets placed: {}", action.names.join(", ")),
        Action::Host(HostAction::Deliver(action)) => format!("release {} delivered", action.release.short()),
        Action::Host(HostAction::Take(action)) => format!("release {} taken", action.release.short()),
        Action::Host(HostAction::Switch(action)) => format!("switched to release {}", release(action.to)),
        Action::Host(HostAction::Remove(_)) => "what airlift put there is removed".to_owned(),
        Action::Run(RunAction::Stage(action)) => format!("{} sent", payload(&action.script, action.files)),
        Action::Run(RunAction::Start(action)) => format!("{} started", clean::message(&action.script)),
        Action::Run(RunAction::Cancel(action)) => format!("{} cancelled", action.run),
    };
    match outcome {
        Outcome::Sent { bytes, pieces } => {
            let pieces = if *pieces == 0 { String::new() } else { format!(", {}", human::count(*pieces, "piece")) };
            format!("{what} ({}{pieces})", human::bytes(*bytes))
        }
        Outcome::Launched { id: Id::Actual(id) } => format!("{what} as {}", clean::message(id)),
        Outcome::Found => format!("{what} (found done)"),
        Outcome::Done | Outcome::Launched { .. } | Outcome::KeyMade { .. } => what,
    }
}

/// What went wrong with an action.
pub fn failed(action: Option<&Action>, failure: &Failure) -> String {
    let what = action.map_or_else(|| "an action".to_owned(), doing);
    let how = match failure.class {
        FailureClass::Transient => "failed for now",
        FailureClass::Unknown => "brought no answer",
        FailureClass::Definite => "failed",
    };
    format!("{what} {how}: {}", clean::message(&failure.message))
}

/// How a host came out, in a word and what there is to say beyond it. Success is called by what the operation is for.
pub fn verdict(verdict: &Verdict, operation: Option<&Operation>) -> String {
    let word = verdict_word(verdict, operation);
    match (verdict, verdict.message()) {
        (_, Some(message)) if message.starts_with(word) => clean::message(&message),
        (_, Some(message)) => format!("{word}: {}", clean::message(&message)),
        (Verdict::Succeeded { exit: Some(exit) }, None) => format!("{word} ({exit})"),
        (_, None) => word.to_owned(),
    }
}

/// The verdict's word, where success is called by what the operation is for: "ready", "gone".
pub fn verdict_word(verdict: &Verdict, operation: Option<&Operation>) -> &'static str {
    match (verdict, operation) {
        (Verdict::Succeeded { .. }, Some(Operation::Up(_) | Operation::Push(_))) => "ready",
        (Verdict::Succeeded { .. }, Some(Operation::Down(_))) => "gone",
        (verdict, _) => spoken(verdict.word()),
    }
}

/// A verdict's word as people say it.
pub fn spoken(word: &str) -> &str {
    if word == "timed_out" { "timed out" } else { word }
}

/// The colour of a verdict's word.
pub fn verdict_tone(verdict: &Verdict) -> Tone {
    word_tone(verdict.word())
}

/// The colour of a verdict by its word.
pub fn word_tone(word: &str) -> Tone {
    match word {
        "succeeded" => Tone::Good,
        "cancelled" | "interrupted" => Tone::Warn,
        _ => Tone::Bad,
    }
}

/// The colour of a phase.
pub fn phase_tone(phase: Phase) -> Tone {
    match phase {
        Phase::Ready => Tone::Good,
        Phase::Failed | Phase::Lost => Tone::Bad,
        Phase::Interrupted => Tone::Warn,
        Phase::Gone => Tone::Faint,
        Phase::Requested | Phase::Pending | Phase::Running | Phase::Reachable | Phase::Staged => Tone::Ordinary,
    }
}

/// How a change begins: "up of hello on 3 hosts".
pub fn began(began: &ChangeBegan) -> String {
    let hosts = human::count(began.operation.hosts().len() as u64, "host");
    let what = match &began.operation {
        Operation::Run(run) => format!("run {} of {}", run.run, clean::message(&run.script)),
        Operation::Cancel(cancel) => format!("cancel of {}", cancel.run),
        Operation::Undo(undo) => format!("undo of {}", undo.of),
        other => other.name().to_owned(),
    };
    let dry = if began.mode == Mode::DryRun { "dry run: " } else { "" };
    format!("{dry}{what} on {hosts} of fleet {}", began.fleet)
}

/// An event as the audit shows it. `action` is the one that its intent names, where that is known.
pub fn audit(event: &Event, action: Option<&Action>) -> String {
    match event {
        Event::ChangeBegan(change) => {
            let actor = &change.actor;
            let command = clean::message(&actor.command.join(" "));
            let who = clean::message(&format!("{}@{}", actor.user, actor.machine));
            format!("{}; by {who}, pid {}: {command}", began(change), actor.pid)
        }
        Event::ChangeResumed { actor } => {
            clean::message(&format!("resumed by {}@{}, pid {}", actor.user, actor.machine, actor.pid))
        }
        Event::RunCancelled { by } => format!("cancelled by {by}"),
        Event::Intended { action, attempt: 1, .. } => {
            format!("intends: {}", clean::message(&action.step().plan_line()))
        }
        Event::Intended { action, attempt, .. } => {
            format!("intends: {} (attempt {attempt})", clean::message(&action.step().plan_line()))
        }
        Event::Succeeded { intent, outcome } => {
            action.map_or_else(|| format!("what record {intent} intends was done"), |action| done(action, outcome))
        }
        Event::Failed { failure, .. } => failed(action, failure),
        Event::Pinned { pins } => match pins.keys().count() {
            0 => "no host key is accepted any more".to_owned(),
            n => format!("{} accepted from now on", human::count(n as u64, "host key")),
        },
        Event::Phase { phase, .. } => format!("phase {}", phase.word()),
        Event::Settled { verdict: reached, output } => {
            let printed = output.as_ref().map_or_else(String::new, |end| {
                format!("; printed {}", human::bytes(end.stdout.bytes + end.stderr.bytes))
            });
            format!("settled: {}{printed}", verdict(reached, None))
        }
        Event::ChangeEnded { end } => ended(end),
    }
}

/// How a change ended.
pub fn ended(end: &ChangeEnd) -> String {
    match end {
        ChangeEnd::Finished { hosts } => {
            let counts: Vec<String> = hosts.iter().map(|(word, n)| format!("{n} {}", spoken(word))).collect();
            format!("ended: {}", if counts.is_empty() { "no hosts".to_owned() } else { counts.join(", ") })
        }
        ChangeEnd::Aborted { message } => format!("aborted: {}", clean::message(message)),
        ChangeEnd::Superseded { by } => format!("superseded by {by}"),
        ChangeEnd::Shown { actions } => format!("dry run: {} shown", human::count(*actions, "action")),
    }
}

fn release(release: Option<Digest>) -> String {
    release.map_or_else(|| "none".to_owned(), |release| release.short())
}

fn payload(script: &str, files: u64) -> String {
    let script = clean::message(script);
    if files == 0 { script } else { format!("{script} and {}", human::count(files, "file")) }
}
