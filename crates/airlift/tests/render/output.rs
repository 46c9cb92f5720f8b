//! Every line of output is shown exactly once, whatever happens to signals and to the spool.

use airlift::render::output::LONGEST_LINE;
use airlift::render::{How, Plain, Renderer, Style};
use airlift_core::change::{Change, HostPast};
use airlift_core::decide::Verdict;
use airlift_core::event::{Event, Subject};
use airlift_core::op::{Operation, Up};
use airlift_core::seen::Exit;
use airlift_engine::feed::Signal;
use airlift_engine::spool::Stream;

use super::kit::{Paper, Step, Story, desired, ending, host};

/// The lines of output among all that is shown, in order.
fn printed(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.contains(" | ") || line.contains(" ! ") || line.contains(" # ")).collect()
}

fn plain(story: &Story) -> (Paper, Plain) {
    let paper = Paper::default();
    (paper.clone(), Plain::new(Box::new(paper), story.spool.clone(), Style::PLAIN))
}

/// A script on one host that prints `chunks` and succeeds.
fn prints(chunks: &[&[u8]]) -> Story {
    let mut steps: Vec<Step> = chunks.iter().map(|chunk| Step::Print(Stream::Stdout, chunk.to_vec())).collect();
    steps.push(Step::Settle(Verdict::Succeeded { exit: Some(Exit::Code(0)) }));
    Story::of(Story::run(1).operation, "r-7p2m4q8z", steps)
}

fn shown(mut story: Story) -> String {
    let (paper, mut renderer) = plain(&story);
    story.play(&mut renderer);
    paper.text()
}

#[test]
fn nothing_is_lost_when_every_signal_is() {
    for hosts in [3, 40, 500] {
        let mut heard: Vec<String> = printed(&shown(Story::run(hosts))).into_iter().map(str::to_owned).collect();
        let mut deaf = Story::run(hosts);
        deaf.deaf = true;
        let mut unheard: Vec<String> = printed(&shown(deaf)).into_iter().map(str::to_owned).collect();
        heard.sort();
        unheard.sort();
        assert_eq!(heard, unheard);
        let mut once = heard.clone();
        once.dedup();
        assert_eq!(heard, once, "no line is shown twice");
    }
}

#[test]
fn characters_and_lines_that_arrive_in_pieces_are_put_together() {
    let text = shown(prints(&[b"gr\xc3", b"\xbc\xc3\x9fe\r", b"\n\nlast"]));
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("web/1 |")).collect();
    assert_eq!(lines, ["web/1 | grüße", "web/1 |", "web/1 | last"]);
}

#[test]
fn a_long_line_is_cut_and_says_so() {
    let long = [b"a".repeat(LONGEST_LINE - 1), "ü".repeat(100_000).into_bytes(), b"\nnext\n".to_vec()].concat();
    let text = shown(prints(&[&long[..70_000], &long[70_000..]]));
    let lines = printed(&text);
    assert_eq!(lines.len(), 2);
    assert!(lines[0].ends_with("aaa [and 200000 bytes more]"), "{}", &lines[0][lines[0].len() - 40..]);
    assert_eq!(lines[1], "web/1 | next");
}

#[test]
fn a_signal_that_comes_after_the_end_repeats_nothing() {
    let mut story = prints(&[b"one\n"]);
    let (paper, mut renderer) = plain(&story);
    story.play(&mut renderer);
    renderer.signal(&Signal::Output { host: host(1), run: story.run.clone() });
    assert_eq!(printed(&paper.text()), ["web/1 | one"]);
}

#[test]
fn output_that_was_fetched_anew_is_shown_whole_only_where_it_differs() {
    for (second, expected) in [
        ("one\ntwo\nthree\n", vec!["web/1 | one", "web/1 | two", "web/1 | three"]),
        (
            "one\nTWO\n",
            vec![
                "web/1 | one",
                "web/1 | two",
                "web/1 # stdout was not what the host has and was fetched anew; here it is whole:",
                "web/1 | one",
                "web/1 | TWO",
            ],
        ),
    ] {
        let mut story = prints(&[b"one\ntwo\n"]);
        let (paper, mut renderer) = plain(&story);
        story.begin(&mut renderer);
        let path = story.spool.path(&story.run, &host(1), Stream::Stdout);
        std::fs::write(&path, "on").unwrap();
        renderer.signal(&Signal::Output { host: host(1), run: story.run.clone() });
        std::fs::write(&path, second).unwrap();
        story.go_on(&mut renderer);
        story.end(&mut renderer);
        assert_eq!(printed(&paper.text()), expected);
    }
}

#[test]
fn what_a_bootstrap_printed_before_this_change_is_not_shown_again() {
    let release = desired(1, true).release.unwrap().release;
    let run = airlift_core::id::RunId::bootstrap_of(&release);
    let operation = Operation::Up(Up { desired: desired(1, true) });
    for (more, expected) in [(vec![], vec![]), (b" and more\n".to_vec(), vec!["web/1 |  and more"])] {
        let mut steps = vec![Step::Settle(Verdict::SUCCEEDED)];
        if !more.is_empty() {
            steps.insert(0, Step::Print(Stream::Stdout, more));
        }
        let mut story = Story::of(operation.clone(), run.as_str(), steps);
        story.spooled(&host(1), Stream::Stdout, b"old line\nold end");
        let (paper, mut renderer) = plain(&story);
        story.play(&mut renderer);
        assert_eq!(printed(&paper.text()), expected);
    }
}

#[test]
fn a_run_that_is_taken_up_again_shows_the_output_of_hosts_that_are_not_settled() {
    let mut story = Story::run(2);
    let (paper, mut renderer) = plain(&story);
    story.spooled(&host(1), Stream::Stdout, b"settled before\n");
    story.spooled(&host(2), Stream::Stdout, b"printed before\n");
    let mut change = Change::new(story.change.clone(), story.began());
    let past = HostPast { verdict: Some(Verdict::SUCCEEDED), ..HostPast::default() };
    change.hosts.insert(host(1), past);
    renderer.take_up(&change);
    let resumed = Event::ChangeResumed { actor: story.began().actor };
    let resumed = story.record(Subject::Fleet, resumed);
    renderer.record(&resumed);
    renderer.finish(&ending(How::Stopped));
    insta::assert_snapshot!("plain_resumed", paper.text());
}

#[test]
fn a_run_that_is_detached_shows_what_is_there_and_says_how_to_come_back() {
    let mut story = Story::run(3);
    story.deaf = true;
    let (paper, mut renderer) = plain(&story);
    story.begin(&mut renderer);
    renderer.finish(&ending(How::Detached));
    insta::assert_snapshot!("plain_detached", paper.text());
}

#[test]
fn a_reader_that_has_gone_away_does_not_stop_the_change() {
    struct Gone;
    impl std::io::Write for Gone {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut story = Story::run(3);
    let mut renderer = Plain::new(Box::new(Gone), story.spool.clone(), Style::PLAIN);
    story.play(&mut renderer);
}
