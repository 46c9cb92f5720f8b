//! A plan, for a person: hosts to which the same is done share their lines.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use airlift_core::action::{Action, Kind};
use airlift_core::id::HostId;
use airlift_core::plan::Plan;

use super::style::{Style, Tone};
use super::{clean, human, words};

/// Where a plan line names its host. No plan line has it otherwise: control characters are escaped before.
const PLACE: char = '\0';

/// One action as it reads on any host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    line: String,
    destroys: bool,
}

/// The plan as lines; `cost` is a line of the caller's, such as `$0.00/h (local)`, or empty.
pub fn text(plan: &Plan, cost: &str, style: Style) -> String {
    let mut text = String::new();
    for (steps, hosts) in groups(plan) {
        let named = human::hosts(hosts, style);
        for step in steps {
            let line = step.line.replace(PLACE, &named);
            if step.destroys {
                let _ = writeln!(text, "{}", style.paint(Tone::Bad, &format!("- {line}  (destroys)")));
            } else {
                let _ = writeln!(text, "{} {line}", style.paint(Tone::Good, "+"));
            }
        }
        text.push('\n');
    }
    for remarks in [unseen(plan, style), stopped(plan, style)] {
        if !remarks.is_empty() {
            let _ = writeln!(text, "{remarks}");
        }
    }
    text += &style.paint(Tone::Strong, &totals(plan));
    text.push('\n');
    if !cost.is_empty() {
        let _ = writeln!(text, "{}", clean::message(cost));
    }
    text
}

/// Hosts with the same steps, in the order of their first action.
fn groups(plan: &Plan) -> Vec<(Vec<Step>, Vec<&HostId>)> {
    let mut order: Vec<&HostId> = Vec::new();
    let mut steps: BTreeMap<&HostId, Vec<Step>> = BTreeMap::new();
    for action in &plan.actions {
        let host = action.host();
        let list = steps.entry(host).or_insert_with(|| {
            order.push(host);
            Vec::new()
        });
        list.push(step(action));
    }
    let mut places: BTreeMap<Vec<Step>, usize> = BTreeMap::new();
    let mut groups: Vec<(Vec<Step>, Vec<&HostId>)> = Vec::new();
    for host in order {
        let list = steps.remove(host).unwrap_or_default();
        let place = *places.entry(list.clone()).or_insert_with(|| {
            groups.push((list, Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(host);
    }
    groups
}

/// The action with a place where its line names the host. Only whole words count, so that a host called `a` does not
/// take every word apart.
fn step(action: &Action) -> Step {
    let line = clean::message(&action.step().plan_line());
    let host = action.host().as_str();
    let words: Vec<String> = line
        .split(' ')
        .map(|word| {
            let bare = word.trim_end_matches([',', ':', ';', '.']);
            if bare == host { format!("{PLACE}{}", &word[bare.len()..]) } else { word.to_owned() }
        })
        .collect();
    Step { line: words.join(" "), destroys: action.step().destroys() }
}

/// Hosts that did not answer, and why: what is said of them is the most that may be done.
fn unseen(plan: &Plan, style: Style) -> String {
    let lines = by_reason(plan.unseen.iter()).into_iter().map(|(reason, hosts)| {
        let hosts = human::hosts(hosts, style);
        let line = format!("? not reached yet: {hosts}, so the plan names the most: {}", clean::message(reason));
        style.paint(Tone::Warn, &line) + "\n"
    });
    lines.collect()
}

/// The hosts of each reason, which come in the order of their first host.
fn by_reason<'p, R: PartialEq>(reasons: impl Iterator<Item = (&'p HostId, &'p R)>) -> Vec<(&'p R, Vec<&'p HostId>)> {
    let mut grouped: Vec<(&R, Vec<&HostId>)> = Vec::new();
    for (host, reason) in reasons {
        match grouped.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, hosts)) => hosts.push(host),
            None => grouped.push((reason, vec![host])),
        }
    }
    grouped
}

/// Hosts that would not come out well, and why: nothing can be done about that later.
fn stopped(plan: &Plan, style: Style) -> String {
    by_reason(plan.verdicts.iter().filter(|(_, verdict)| !verdict.is_success()))
        .into_iter()
        .map(|(verdict, hosts)| {
            let line = format!("! {} would be {}", human::hosts(hosts, style), words::verdict(verdict, None));
            style.paint(words::verdict_tone(verdict), &line) + "\n"
        })
        .collect()
}

/// `18 actions on 3 hosts: 3 launch instance, …; 1 destroys something`.
fn totals(plan: &Plan) -> String {
    if plan.is_empty() {
        return "nothing to do".to_owned();
    }
    let mut kinds: Vec<(Kind, u64)> = Vec::new();
    let mut hosts: Vec<&HostId> = Vec::new();
    for action in &plan.actions {
        match kinds.iter_mut().find(|(kind, _)| *kind == action.kind()) {
            Some((_, count)) => *count += 1,
            None => kinds.push((action.kind(), 1)),
        }
        hosts.push(action.host());
    }
    hosts.sort();
    hosts.dedup();
    let kinds: Vec<String> = kinds.iter().map(|(kind, n)| format!("{n} {}", kind.name().replace('_', " "))).collect();
    let destroys = match plan.destroys().count() {
        0 => String::new(),
        1 => "; 1 action destroys something".to_owned(),
        n => format!("; {n} actions destroy something"),
    };
    format!(
        "{} on {}: {}{destroys}",
        human::count(human::len(&plan.actions), "action"),
        human::count(human::len(&hosts), "host"),
        kinds.join(", ")
    )
}
