//! What the writer does when the disk is full, and what it takes as one group.

use std::sync::mpsc;

use airlift_core::event::{Entry, Event, Phase, Subject};

use super::*;
use crate::log::chain::{self, Head};
use crate::log::open;

fn entry(n: u32) -> Prepared {
    Prepared::new(Entry {
        change: "c-full1".parse().unwrap(),
        subject: Subject::Host(format!("web/{}", n + 1).parse().unwrap()),
        event: Event::Phase { phase: Phase::Ready, current: None },
    })
}

fn writer(folder: &tempfile::TempDir) -> Writer {
    let path = Utf8PathBuf::from_path_buf(folder.path().join("log.sqlite")).unwrap();
    let log = open::for_writing(&path).unwrap().writer.unwrap();
    Writer { path, log, stamp: Box::new(chain::now) }
}

#[test]
fn a_full_disk_is_an_error_and_leaves_no_half_written_group() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(&folder);
    writer.commit(vec![vec![entry(0)]]).unwrap();
    let pages: u32 = writer.log.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    writer.log.pragma_update(None, "max_page_count", pages + 2).unwrap();

    let group = (0..20).map(|part| (0..20).map(|n| entry(part * 20 + n)).collect()).collect();
    assert_eq!(writer.commit(group).unwrap_err(), LogError::Full { path: writer.path.clone() });

    assert_eq!(tables::head(&writer.log).unwrap().seq, 1);
    let hosts: u32 = writer.log.query_row("SELECT count(*) FROM hosts", (), |row| row.get(0)).unwrap();
    assert_eq!(hosts, 1);
    let named = anchor::read(&anchor::beside(&writer.path)).unwrap();
    assert_eq!(named, Some(tables::head(&writer.log).unwrap()));

    // Once there is space, the same writer goes on.
    writer.log.pragma_update(None, "max_page_count", 100_000).unwrap();
    let stored = writer.commit(vec![vec![entry(1)]]).unwrap();
    assert_eq!(stored[0][0].seq, 2);
}

#[test]
fn a_group_takes_what_has_queued_up_to_a_limit_and_keeps_the_order() {
    let (sender, requests) = mpsc::channel();
    let append = |n: u32| {
        let (reply, _) = oneshot::channel();
        Append { entries: vec![entry(n), entry(n)], reply }
    };
    for n in 1..400 {
        sender.send(Request::Append(append(n))).unwrap();
    }
    sender.send(Request::Rebuild(oneshot::channel().0)).unwrap();
    sender.send(Request::Append(append(1000))).unwrap();

    // The time limit may end a group early on a slow machine: no group is larger than the limit, and none is lost.
    let (mut count, mut first) = (0, append(0));
    loop {
        let (group, other) = gather(first, &requests, Duration::ZERO);
        assert!(group.len() <= GROUP / 2);
        count += group.len();
        if other.is_some() {
            break;
        }
        let Ok(Request::Append(next)) = requests.recv() else { break };
        first = next;
    }
    assert_eq!(count, 400, "a request of another kind ends the group before it");
    assert!(matches!(requests.try_recv(), Ok(Request::Append(_))));
}

#[test]
fn a_lone_request_waits_for_nothing() {
    let (sender, requests) = mpsc::channel::<Request>();
    let began = Instant::now();
    for n in 0..1000 {
        let (lone, _) = oneshot::channel();
        let (group, other) = gather(Append { entries: vec![entry(n)], reply: lone }, &requests, Duration::ZERO);
        assert!(group.len() == 1 && other.is_none());
    }
    assert!(began.elapsed() < GATHER * 1000, "an empty queue ends the gathering");
    drop(sender);
}

#[test]
fn where_several_came_together_one_who_comes_a_moment_later_joins_the_next_group() {
    let (sender, requests) = mpsc::channel();
    let append = || Append { entries: vec![entry(0)], reply: oneshot::channel().0 };
    // The time limit may end a group early on a slow machine; it does not do so every time.
    let joins = (0..1000).any(|_| {
        let later = sender.clone();
        let coming = std::thread::spawn(move || {
            std::thread::sleep(LULL / 4);
            later.send(Request::Append(append())).unwrap();
        });
        let (group, _) = gather(append(), &requests, LULL);
        coming.join().unwrap();
        while requests.try_recv().is_ok() {}
        group.len() == 2
    });
    assert!(joins);
}

#[test]
fn an_anchor_that_names_a_later_record_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(&folder);
    writer.commit(vec![vec![entry(0), entry(1)]]).unwrap();
    let anchor = anchor::beside(&writer.path);
    anchor::advance(&anchor, &Head { seq: 1, ..Head::EMPTY }).unwrap();
    assert_eq!(anchor::read(&anchor).unwrap().unwrap().seq, 2);
}
