//! What takes long, said once: whoever reads lines must not wonder for minutes what is waited for.

use std::collections::BTreeMap;
use std::time::Duration;

use airlift_core::id::HostId;
use airlift_core::time::Moment;

use super::Fold;
use super::fold::HostState;

/// What takes no longer than this needs no word.
const LONG: Duration = Duration::from_secs(10);

/// What each host is at, and since when.
#[derive(Debug, Default)]
pub(super) struct Waits {
    hosts: BTreeMap<HostId, Since>,
}

#[derive(Debug)]
struct Since {
    what: String,
    began: Moment,
    is_said: bool,
}

impl Waits {
    /// What has come to take long by now, and was not said yet.
    pub(super) fn grown_long(&mut self, fold: &Fold, now: Moment) -> Vec<(HostId, String)> {
        let mut news = Vec::new();
        for (host, state) in fold.hosts() {
            let Some(text) = at(fold, state) else {
                self.hosts.remove(host);
                continue;
            };
            // Behind a colon stands what may differ each time it is tried.
            let what = text.split(':').next().unwrap_or_default();
            let since = self.hosts.entry(host.clone()).or_insert_with(|| Since::new(what, now));
            if since.what != what {
                *since = Since::new(what, now);
            }
            if !since.is_said && now.since(since.began) >= LONG {
                since.is_said = true;
                news.push((host.clone(), text));
            }
        }
        news
    }
}

impl Since {
    fn new(what: &str, began: Moment) -> Self {
        Self { what: what.to_owned(), began, is_said: false }
    }
}

/// What a host is at, in words. A script that runs speaks for itself.
fn at(fold: &Fold, state: &HostState) -> Option<String> {
    if state.verdict.is_some() || (fold.is_script() && state.started) {
        return None;
    }
    let doing = state.doing.as_ref().map(|doing| format!("still {doing}"));
    doing.or_else(|| state.waiting.as_ref().map(|reason| format!("waits for {reason}")))
}
