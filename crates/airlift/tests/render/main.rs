//! What renderers show of changes of 3, 40 and 500 hosts, with failures and with output that no terminal should interpret.

#![expect(clippy::unwrap_used, reason = "what cannot be built or read ends the test")]

mod kit;
mod output;
mod tables;
mod terminal;

use airlift::render::{How, Json, Live, Plain, Quiet, Renderer, Style};
use airlift_core::action::StageRun;
use airlift_core::decide::Verdict;
use airlift_core::history::FailureClass;
use airlift_core::op::Operation;
use airlift_core::time::Moment;
use insta::assert_snapshot;
use kit::{Paper, Step, Story};
use terminal::Terminal;

const SIZES: [u32; 3] = [3, 40, 500];

/// Long texts by their beginning and their end.
fn abridged(text: &str) -> String {
    const ENDS: usize = 60;
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() <= 4 * ENDS {
        return text.to_owned();
    }
    let left_out = lines.len() - 2 * ENDS;
    let (head, tail) = (lines[..ENDS].join("\n"), lines[lines.len() - ENDS..].join("\n"));
    format!("{head}\n[{left_out} lines]\n{tail}\n")
}

fn shown(mut story: Story, renderer: impl FnOnce(&Story, Paper) -> Box<dyn Renderer>) -> String {
    let paper = Paper::default();
    let mut renderer = renderer(&story, paper.clone());
    story.play(renderer.as_mut());
    drop(renderer);
    paper.text()
}

fn plain(story: Story) -> String {
    shown(story, |story, paper| Box::new(Plain::new(Box::new(paper), story.spool.clone(), Style::PLAIN)))
}

fn quiet(story: Story) -> String {
    shown(story, |story, paper| Box::new(Quiet::new(Box::new(paper), story.spool.clone(), Style::PLAIN)))
}

fn json(story: Story, progress: bool) -> String {
    let dir = story.spool.path(&story.run, &kit::host(1), airlift_engine::spool::Stream::Stdout);
    let dir = dir.ancestors().nth(4).unwrap().to_string();
    shown(story, |story, paper| Box::new(Json::new(Box::new(paper), story.spool.clone(), progress)))
        .replace(&dir, "/spool")
}

#[test]
fn plain_shows_events_and_output_line_by_line() {
    for hosts in SIZES {
        assert_snapshot!(format!("plain_run_{hosts}"), abridged(&plain(Story::run(hosts))));
        assert_snapshot!(format!("plain_up_{hosts}"), abridged(&plain(Story::up(hosts))));
    }
}

/// A run on one host of which this comes.
fn one_host(steps: Vec<Step>) -> Story {
    let run = Story::run(1);
    Story::of(run.operation.clone(), run.run.as_str(), steps)
}

#[test]
fn why_a_single_host_failed_is_told_once() {
    let refused = "setup.sh cannot be started: there is no /bin/zsh on the host";
    let steps = || {
        let Operation::Run(run) = Story::run(1).operation else { panic!("it is a run") };
        let stage = StageRun { host: kit::host(1), run: run.run, script: run.script, files: 0, upload_timeout_s: 60 };
        vec![
            Step::Intend(stage.into()),
            Step::Fail(FailureClass::Definite, refused),
            Step::Settle(Verdict::Failed { exit: None, message: refused.to_owned() }),
        ]
    };
    let on_screen = |mut story: Story| {
        let (paper, style) = (Paper::default(), Style { width: 100, ..Style::PLAIN });
        let mut live = Live::new(Box::new(paper.clone()), story.spool.clone(), style);
        story.play(&mut live);
        Terminal::showing(&paper.text(), 100, 24).text()
    };
    for text in [plain(one_host(steps())), quiet(one_host(steps())), on_screen(one_host(steps()))] {
        assert_eq!(text.matches(refused).count(), 1, "{text}");
        assert!(text.contains("0 of 1 host succeeded, 1 failed, in 4.2 s"), "{text}");
    }
    for text in [plain(Story::run(3)), quiet(Story::run(3)), on_screen(Story::run(3))] {
        assert_eq!(text.matches("web/2  failed: exit 3").count(), 1, "{text}");
    }
}

#[test]
fn why_airlift_itself_stopped_is_left_to_the_error_that_comes_last() {
    let mut story = Story::run(3);
    let paper = Paper::default();
    let mut plain = Plain::new(Box::new(paper.clone()), story.spool.clone(), Style::PLAIN);
    story.begin(&mut plain);
    plain.finish(&kit::ending(How::Halted { message: "the event log cannot be written".to_owned() }));
    assert!(!paper.text().contains("event log"), "{}", paper.text());
    assert!(paper.text().contains("airlift stopped after 4.2 s: "), "{}", paper.text());
}

#[test]
fn quiet_shows_failures_and_the_end() {
    for hosts in SIZES {
        assert_snapshot!(format!("quiet_run_{hosts}"), abridged(&quiet(Story::run(hosts))));
        assert_snapshot!(format!("quiet_up_{hosts}"), abridged(&quiet(Story::up(hosts))));
    }
}

#[test]
fn json_is_one_object_per_line_and_ends_with_all_hosts() {
    for hosts in SIZES {
        for (name, story) in [("run", Story::run(hosts)), ("up", Story::up(hosts))] {
            let text = json(story, false);
            let lines: Vec<serde_json::Value> =
                text.lines().map(|line| serde_json::from_str(line).expect("each line is an object")).collect();
            assert!(lines.iter().all(|line| line["v"] == 1));
            let (end, records) = lines.split_last().unwrap();
            assert!(records.iter().all(|line| line["type"] == "record"));
            assert_eq!(end["type"], "end");
            assert_eq!(end["hosts"].as_array().unwrap().len(), hosts as usize);
            if hosts == 3 {
                assert_snapshot!(format!("json_{name}_{hosts}"), text);
            } else {
                let end = serde_json::to_string_pretty(end).unwrap();
                assert_snapshot!(format!("json_{name}_{hosts}_end"), abridged(&end));
            }
        }
    }
}

#[test]
fn json_shows_signals_only_where_they_are_asked_for() {
    let with = json(Story::run(3), true);
    let without = json(Story::run(3), false);
    let signals: Vec<&str> = with.lines().filter(|line| line.contains(r#""type":"signal""#)).collect();
    let rest: Vec<&str> = with.lines().filter(|line| !line.contains(r#""type":"signal""#)).collect();
    assert_eq!(rest, without.lines().collect::<Vec<_>>());
    assert_snapshot!("json_signals", signals.join("\n"));
}

#[test]
fn the_live_table_fits_the_screen_and_leaves_a_summary() {
    for (hosts, width) in [(3, 80), (40, 80), (500, 80), (40, 30)] {
        for (name, mut story) in [("run", Story::run(hosts)), ("up", Story::up(hosts))] {
            let paper = Paper::default();
            let style = Style { width, ..Style::PLAIN };
            let mut live = Live::new(Box::new(paper.clone()), story.spool.clone(), style);
            story.begin(&mut live);
            let middle = Terminal::showing(&paper.text(), width, 24);
            assert!(!middle.cursor_shown, "the cursor is hidden while the table is there");
            assert_snapshot!(format!("live_{name}_{hosts}_{width}_middle"), middle.screen());
            story.go_on(&mut live);
            story.end(&mut live);
            let end = Terminal::showing(&paper.text(), width, 24);
            assert!(end.cursor_shown, "the cursor comes back");
            assert_snapshot!(format!("live_{name}_{hosts}_{width}_end"), abridged(&end.text()));
        }
    }
}

#[test]
fn a_transfer_shows_bytes_rate_and_how_long_it_will_still_take() {
    let (paper, mut story) = (Paper::default(), Story::run(1));
    let mut live = Live::new(Box::new(paper.clone()), story.spool.clone(), Style { width: 80, ..Style::PLAIN });
    story.take_up(&mut live);
    // The intent and a quarter of what is to be sent; in a second another half.
    for (millis, steps) in [(1000, 2), (2000, 1)] {
        for _ in 0..steps {
            story.step(1, &mut live);
        }
        live.tick(airlift_core::time::Moment::from_millis(millis));
    }
    let screen = Terminal::showing(&paper.text(), 80, 24).screen();
    assert!(screen.contains("2.9 MiB of 3.8 MiB (75 %), 1.9 MiB/s, 0.5 s left; sending…"), "{screen}");
    assert!(screen.contains("2.9 MiB sent, 1.9 MiB/s, 0.5 s left"), "{screen}");
}

#[test]
fn the_cursor_comes_back_when_the_live_view_is_dropped() {
    let (paper, mut story) = (Paper::default(), Story::run(3));
    let mut live = Live::new(Box::new(paper.clone()), story.spool.clone(), Style::PLAIN);
    story.begin(&mut live);
    assert!(!Terminal::showing(&paper.text(), 100, 24).cursor_shown);
    drop(live);
    assert!(Terminal::showing(&paper.text(), 100, 24).cursor_shown);
}

#[test]
fn a_terminal_that_became_narrower_shows_the_table_once() {
    let (paper, mut story) = (Paper::default(), Story::up(3));
    let style = Style { color: true, ..Style::PLAIN };
    let mut live = Live::new(Box::new(paper.clone()), story.spool.clone(), style);
    story.begin(&mut live);
    let mut terminal = Terminal::showing(&paper.text(), 100, 24);
    terminal.narrow(30);
    let before = paper.text().len();
    live.resize(30, 24);
    story.go_on(&mut live);
    terminal.show(&paper.text()[before..]);
    let screen = terminal.screen();
    assert_eq!(screen.matches("web/1").count(), 1, "{screen}");
    assert_eq!(screen.matches("up: ").count(), 1, "{screen}");
}

#[test]
fn the_live_view_draws_at_most_ten_times_a_second() {
    let (paper, mut story) = (Paper::default(), Story::up(3));
    let mut live = Live::new(Box::new(paper.clone()), story.spool.clone(), Style::PLAIN);
    story.begin(&mut live);
    let frames = |paper: &Paper| paper.text().matches("\x1b[?2026h").count();
    let before = frames(&paper);
    for millis in 2000..3000 {
        story.step(1, &mut live);
        story.step(2, &mut live);
        live.tick(Moment::from_millis(millis));
    }
    let drawn = frames(&paper) - before;
    assert!((1..=10).contains(&drawn), "{drawn} drawings in a second");
}

#[test]
fn colours_are_used_only_where_they_are_wanted() {
    let coloured = shown(Story::run(3), |story, paper| {
        Box::new(Plain::new(Box::new(paper), story.spool.clone(), Style { color: true, ..Style::PLAIN }))
    });
    assert!(coloured.contains("\x1b[31m"));
    assert!(!plain(Story::run(3)).contains('\x1b'));
    let bare = anstream::adapter::strip_str(&coloured).to_string();
    assert_eq!(bare, plain(Story::run(3)), "colours change nothing but colours");
}

#[test]
fn what_takes_long_is_said_once_where_there_is_no_live_view() {
    let steps = vec![
        Step::Wait("a session: no route to host"),
        Step::Wait("a session: connection refused"),
        Step::Wait("the host to take the bundle"),
        Step::Settle(Verdict::SUCCEEDED),
    ];
    let mut story = Story::of(Story::up(1).operation, "r-7p2m4q8z", steps);
    let paper = Paper::default();
    let mut plain = Plain::new(Box::new(paper.clone()), story.spool.clone(), Style::PLAIN);
    story.take_up(&mut plain);
    let at = |seconds: u64, plain: &mut Plain| plain.tick(Moment::from_millis(seconds * 1000));
    story.step(1, &mut plain);
    at(1, &mut plain);
    at(10, &mut plain);
    assert_eq!(paper.text(), "", "so far it took no long time");
    story.step(1, &mut plain);
    at(11, &mut plain);
    at(30, &mut plain);
    assert_eq!(paper.text(), "web/1  waits for a session: connection refused\n");
    story.step(1, &mut plain);
    at(31, &mut plain);
    at(41, &mut plain);
    story.step(1, &mut plain);
    at(90, &mut plain);
    assert_eq!(paper.text().matches("waits for").count(), 2, "{}", paper.text());
}
