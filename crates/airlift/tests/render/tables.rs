//! Plans and tables, and the words of the event log.

use std::collections::{BTreeMap, BTreeSet};

use airlift::render::{
    AuditLines, ChangeRow, LastRun, RunRow, StatusRow, Style, audit_text, change_json, changes, plan_json, plan_text,
    print_output, run_json, runs, status, status_json, status_screen,
};
use airlift_core::action::{RemoveAirlift, TerminateInstance};
use airlift_core::decide::Verdict;
use airlift_core::event::{ChangeEnd, Event, Mode, Phase, Record};
use airlift_core::id::Digest;
use airlift_core::op::{Operation, Up};
use airlift_core::plan::{Plan, plan};
use airlift_core::time::Moment;
use airlift_engine::spool::Stream;
use insta::assert_snapshot;
use jiff::{SignedDuration, Timestamp};

use super::kit::{Paper, Story, desired, host};
use super::{SIZES, abridged};

fn up(hosts: u32) -> Plan {
    plan(&Operation::Up(Up { desired: desired(hosts, true) }), &BTreeMap::new(), Moment::START).unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

#[test]
fn a_plan_says_once_what_is_done_to_many() {
    for hosts in SIZES {
        assert_snapshot!(format!("plan_{hosts}"), plan_text(&up(hosts), "$0.00/h (local)", Style::PLAIN));
    }
}

#[test]
fn a_plan_marks_what_destroys_and_what_would_not_go_well() {
    let mut plan = up(40);
    plan.actions.retain(|action| *action.host() != host(7));
    plan.actions.push(TerminateInstance { host: host(41), lost: false }.into());
    plan.actions.push(RemoveAirlift { host: "on".parse().unwrap(), fleet: "hello-3f9a".parse().unwrap() }.into());
    let message = "it belongs to the fleet other".to_owned();
    plan.verdicts.insert(host(7), Verdict::Refused { message });
    assert_snapshot!("plan_mixed", plan_text(&plan, "", Style::PLAIN));
    let line = serde_json::to_value(plan_json(&plan, &"hello-3f9a".parse().unwrap(), "$0.00/h (local)")).unwrap();
    assert_eq!((&line["v"], &line["type"], &line["destroys"]), (&1.into(), &"plan".into(), &2.into()));
    assert_eq!(line["actions"].as_array().unwrap().len(), plan.actions.len());
}

#[test]
fn a_plan_says_which_hosts_were_not_reached() {
    let mut plan = up(3);
    for number in [2, 3] {
        plan.unseen.insert(host(number), "it has not answered yet".to_owned());
    }
    let text = plan_text(&plan, "", Style::PLAIN);
    let line = text.lines().find(|line| line.starts_with("? not reached yet: ")).expect("it is said");
    assert!(line.ends_with("so the plan names the most: it has not answered yet"), "{line}");
    assert!(line.contains("web/2") && line.contains("web/3") && !line.contains("web/1"), "{line}");
    let line = serde_json::to_value(plan_json(&plan, &"hello-3f9a".parse().unwrap(), "")).unwrap();
    assert_eq!(line["unseen"]["web/3"], "it has not answered yet");
}

#[test]
fn an_empty_plan_says_that_there_is_nothing_to_do() {
    let plan = Plan::default();
    assert_eq!(plan_text(&plan, "", Style::PLAIN), "nothing to do\n");
    assert_snapshot!(
        "plan_3_json",
        serde_json::to_string_pretty(&plan_json(&up(3), &"hello-3f9a".parse().unwrap(), "")).unwrap()
    );
}

fn rows(hosts: u32) -> Vec<StatusRow> {
    (1..=hosts)
        .rev()
        .map(|n| {
            let failed = n % 10 == 2;
            StatusRow {
                id: host(n),
                phase: match n % 10 {
                    2 => Some(Phase::Failed),
                    3 => None,
                    4 => Some(Phase::Lost),
                    _ => Some(Phase::Ready),
                },
                address: (n % 10 != 3).then(|| format!("127.0.0.1:{}", 40_000 + n)),
                region: None,
                instance_type: Some("local".to_owned()),
                release: (n % 10 != 3).then(|| Digest::of(b"release")),
                last_run: (n % 2 == 1).then(|| LastRun {
                    run: "r-7p2m4q8z".parse().unwrap(),
                    result: (n % 4 == 1).then(|| "timed_out".to_owned()),
                }),
                updated: (n % 10 != 3).then(|| now() - SignedDuration::from_secs(i64::from(n) * 41)),
                message: failed.then(|| "the bootstrap failed (exit 100)\nE: \x1b[31mno such package".to_owned()),
            }
        })
        .collect()
}

#[test]
fn the_status_table_is_aligned_and_gives_reasons() {
    for hosts in SIZES {
        assert_snapshot!(format!("status_{hosts}"), abridged(&status(&rows(hosts), now(), Style::PLAIN)));
    }
    assert_eq!(status(&[], now(), Style::PLAIN), "no hosts\n");
    let coloured = status(&rows(3), now(), Style { color: true, ..Style::PLAIN });
    assert!(coloured.contains("\x1b[31mfailed\x1b[0m"));
    let bare = anstream::adapter::strip_str(&coloured).to_string();
    assert_eq!(bare, status(&rows(3), now(), Style::PLAIN), "colours do not move columns");
    assert_snapshot!(
        "status_json",
        serde_json::to_string(&status_json(&"hello-3f9a".parse().unwrap(), &rows(3)[1..2])).unwrap()
    );
}

#[test]
fn the_status_table_gives_up_columns_rather_than_wrap() {
    for width in [80, 60, 40, 24] {
        let text = status(&rows(12), now(), Style { width, ..Style::PLAIN });
        let table = text.lines().filter(|line| !line.starts_with("    "));
        assert!(table.clone().all(|line| line.chars().count() < width), "{width}:\n{text}");
        assert_eq!(table.count(), 13);
        assert_snapshot!(format!("status_12_{width}"), text);
    }
}

#[test]
fn the_watched_status_shows_what_fits_and_what_went_wrong_first() {
    for hosts in SIZES {
        let style = Style { width: 80, ..Style::PLAIN };
        let text = status_screen(&rows(hosts), now(), style);
        assert!(text.lines().count() < style.height, "{text}");
        assert!(text.lines().all(|line| line.chars().count() < style.width), "{text}");
        assert_snapshot!(format!("status_screen_{hosts}"), text);
    }
}

#[test]
fn the_table_of_runs_tells_how_each_came_out() {
    let row = |run: &str, ended, results: &[(&str, u64)]| RunRow {
        run: run.parse().unwrap(),
        script: "setup.sh".to_owned(),
        began: now() - SignedDuration::from_secs(4000),
        ended,
        hosts: 20,
        results: results.iter().map(|(word, n)| ((*word).to_owned(), *n)).collect(),
        user: "ada".to_owned(),
    };
    let rows = [
        row("r-aaaa1111", Some(now()), &[("succeeded", 20)]),
        row("r-bbbb2222", Some(now()), &[("succeeded", 17), ("failed", 2), ("timed_out", 1)]),
        row("r-cccc3333", None, &[("succeeded", 5)]),
    ];
    assert_snapshot!("runs", runs(&rows, now(), Style::PLAIN));
    assert_snapshot!("runs_json", serde_json::to_string(&run_json(&rows[1])).unwrap());
}

fn records(mut story: Story) -> Vec<Record> {
    /// Keeps what it is shown.
    #[derive(Default)]
    struct Keep(Vec<Record>);
    impl airlift::render::Renderer for Keep {
        fn take_up(&mut self, _: &airlift_core::change::Change) {}
        fn record(&mut self, record: &Record) {
            self.0.push(record.clone());
        }
        fn signal(&mut self, _: &airlift_engine::feed::Signal) {}
        fn tick(&mut self, _: Moment) {}
        fn finish(&mut self, _: &airlift::render::Ending) {}
    }
    let mut keep = Keep::default();
    story.play(&mut keep);
    keep.0
}

#[test]
fn the_event_log_reads_as_sentences() {
    for hosts in SIZES {
        assert_snapshot!(
            format!("audit_run_{hosts}"),
            abridged(&audit_text(&records(Story::run(hosts)), Style::PLAIN))
        );
    }
    assert_snapshot!("audit_up_3", audit_text(&records(Story::up(3)), Style::PLAIN));
}

#[test]
fn the_event_log_reads_the_same_record_by_record() {
    let records = records(Story::run(3));
    let mut lines = AuditLines::default();
    let one_by_one: Vec<String> = records.iter().map(|record| lines.line(record)).collect();
    let at_once = audit_text(&records, Style::PLAIN);
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let expected: Vec<_> = at_once.lines().skip(1).map(words).collect();
    assert_eq!(one_by_one.iter().map(|line| words(line)).collect::<Vec<_>>(), expected);
}

#[test]
fn an_outcome_without_its_intent_names_the_record() {
    let records = records(Story::run(3));
    let outcome = records.iter().find(|record| matches!(record.event, Event::Succeeded { .. })).unwrap();
    assert!(audit_text([outcome], Style::PLAIN).contains("what record 2 intends was done"));
}

#[test]
fn the_table_of_changes_tells_which_are_unfinished() {
    let (run, up) = (Story::run(3), Story::up(40));
    let (began, mut dry) = (run.began(), up.began());
    dry.mode = Mode::DryRun;
    let finished = ChangeEnd::Finished { hosts: [("succeeded".to_owned(), 2), ("lost".to_owned(), 1)].into() };
    let shown = ChangeEnd::Shown { actions: 120 };
    let row = |began, end| ChangeRow {
        change: &run.change,
        began_at: now() - SignedDuration::from_secs(75),
        ended_at: Option::map(end, |_| now()),
        end,
        began,
    };
    let rows = [row(&began, Some(&finished)), row(&began, None), row(&dry, Some(&shown))];
    assert_snapshot!("changes", changes(&rows, Style::PLAIN));
    let line = serde_json::to_value(change_json(&rows[0])).unwrap();
    assert_eq!((&line["type"], &line["change"]), (&"change".into(), &"c-0k3f9x2a".into()));
}

#[test]
fn logs_print_the_spool_host_by_host_with_whole_lines() {
    let story = Story::run(11);
    for n in [1, 2, 11] {
        story.spooled(&host(n), Stream::Stdout, format!("out of {n}\n{}\nend", "x".repeat(9000)).as_bytes());
        story.spooled(&host(n), Stream::Stderr, b"\x1b[1merr\n");
    }
    let hosts: BTreeSet<_> = [1, 2, 11].map(host).into();
    let print = |streams: &[Stream]| {
        let mut paper = Paper::default();
        print_output(&mut paper, &story.spool, &story.run, &hosts, streams, Style::PLAIN).unwrap();
        paper.text().replace(&"x".repeat(9000), "[9000 x]")
    };
    assert_snapshot!("logs", print(&Stream::BOTH));
    assert_eq!(print(&[Stream::Stderr]), "web/1  ! \\x1b[1merr\nweb/2  ! \\x1b[1merr\nweb/11 ! \\x1b[1merr\n");
}
