//! Somebody who follows a guide, in a place of their own, with the program on the path.

use std::collections::BTreeMap;

use camino::Utf8Path;
use regex::Regex;

use super::page::{Command, Page, Part};
use super::support::{Sandbox, eventually};
use super::world::World;
use super::{AIRLIFT, ROOT};

/// A guide while it is being followed.
pub(crate) struct Reader {
    place: Place,
    /// What the guide says, and what it is here: addresses, a user.
    here: Vec<(String, String)>,
    /// The ids of the guide, and those that they turned out to be.
    ids: BTreeMap<String, String>,
    code: i32,
}

enum Place {
    Alone(Sandbox),
    /// With machines of one's own.
    Among(Box<World>),
}

impl Reader {
    /// In the folder of an example.
    pub(crate) fn of_example(name: &str) -> Self {
        let example = Utf8Path::new(ROOT).join("examples").join(name);
        let sandbox = Sandbox::new(AIRLIFT, &std::fs::read_to_string(example.join("airlift.yaml")).unwrap());
        let (from, to) = (format!("{example}/."), sandbox.project());
        assert!(std::process::Command::new("cp").args(["-R", &from, to.as_str()]).status().unwrap().success());
        Self::at(Place::Alone(sandbox), Vec::new())
    }

    /// In an empty folder.
    pub(crate) fn bare() -> Self {
        let sandbox = Sandbox::new(AIRLIFT, "");
        std::fs::remove_file(sandbox.project().join("airlift.yaml")).unwrap();
        Self::at(Place::Alone(sandbox), Vec::new())
    }

    /// In the folder of `examples/fleet-of-mine`, with the machines that the guide lists.
    pub(crate) fn with_machines() -> Self {
        const LISTED: [&str; 3] = ["address: 192.0.2.11", "address: 192.0.2.12", "admin@192.0.2.21:2222"];
        let world = World::new(LISTED.len(), "");
        let example = format!("{ROOT}/examples/fleet-of-mine/.");
        let project = world.sandbox.project();
        assert!(std::process::Command::new("cp").args(["-R", &example, project.as_str()]).status().unwrap().success());
        let user = super::sshd::user();
        let places = LISTED.iter().zip(world.listings()).map(|(listed, at)| {
            let before = if listed.contains('@') { format!("{user}@") } else { "address: ".to_owned() };
            ((*listed).to_owned(), format!("{before}{}:{}", at.host, at.port))
        });
        let mut here: Vec<(String, String)> = places.collect();
        // Whoever runs the tests is not to become root on this machine.
        here.push(("  user: ubuntu".to_owned(), format!("  user: {user}\n  sudo: never")));
        Self::at(Place::Among(Box::new(world)), here)
    }

    fn at(place: Place, here: Vec<(String, String)>) -> Self {
        Self { place, here, ids: BTreeMap::new(), code: 0 }
    }

    fn sandbox(&self) -> &Sandbox {
        match &self.place {
            Place::Alone(sandbox) => sandbox,
            Place::Among(world) => &world.sandbox,
        }
    }

    pub(crate) fn follow(mut self, page: &Page) {
        for part in &page.parts {
            match part {
                Part::File { name, content } => drop(self.sandbox().write(name, &self.localized(content))),
                Part::Run(command) => {
                    let (printed, code) = self.type_in(&self.with_ids(command));
                    assert!(code == 0, "{}: {command} ended with {code}:\n{printed}", page.name);
                }
                Part::WaitFor(command) => {
                    let command = self.with_ids(command);
                    eventually(&command, || self.type_in(&command).1 == 0);
                }
                Part::Commands(commands) => self.type_all(&page.name, commands),
                Part::NotRun(_) => {}
            }
        }
    }

    fn type_all(&mut self, guide: &str, commands: &[Command]) {
        for (n, Command { typed, shown }) in commands.iter().enumerate() {
            if typed == "echo $?" {
                assert_eq!(shown, &[self.code.to_string()], "{guide}: the exit code of {}", commands[n - 1].typed);
                continue;
            }
            let typed = self.with_ids(typed);
            let (printed, code) = self.type_in(&typed);
            self.code = code;
            let asks = commands.get(n + 1).is_some_and(|next| next.typed == "echo $?");
            assert!(code == 0 || asks, "{guide}: {typed} ended with {code}:\n{printed}");
            self.compare(shown, &printed).unwrap_or_else(|why| panic!("{guide}: {typed}: {why}\n{printed}"));
        }
    }

    fn with_ids(&self, command: &str) -> String {
        self.ids.iter().fold(command.to_owned(), |typed, (theirs, ours)| typed.replace(theirs, ours))
    }

    fn localized(&self, content: &str) -> String {
        self.here.iter().fold(content.to_owned(), |content, (theirs, ours)| content.replace(theirs, ours))
    }

    fn type_in(&self, line: &str) -> (String, i32) {
        let folder = Utf8Path::new(AIRLIFT).parent().unwrap();
        let likeness = self.sandbox().command(&[]);
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &format!("{{ {line}\n}} 2>&1")]).current_dir(self.sandbox().project()).env_clear();
        shell.envs(likeness.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.env("PATH", format!("{folder}:{}", std::env::var("PATH").unwrap()));
        let output = shell.stdin(std::process::Stdio::null()).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.status.code().expect("an exit code"))
    }

    /// Each line that is shown was printed; without a line `…`, nothing else was.
    fn compare(&mut self, shown: &[String], printed: &str) -> Result<(), String> {
        let mut left: Vec<&str> = printed.lines().map(str::trim_end).collect();
        let mut is_whole = true;
        for line in shown {
            if line == "…" {
                is_whole = false;
                continue;
            }
            let pattern = self.pattern(line);
            let found = left.iter().position(|printed| pattern.is_match(printed));
            let found =
                left.remove(found.ok_or_else(|| format!("the guide shows a line that was not printed: {line}"))?);
            self.learn(line, found);
        }
        left.retain(|line| !line.is_empty());
        match left.first() {
            Some(line) if is_whole => Err(format!("a line was printed that the guide does not show: {line}")),
            _ => Ok(()),
        }
    }

    /// What a shown line stands for.
    fn pattern(&self, line: &str) -> Regex {
        const DIFFERENT: [(&str, &str); 9] = [
            (r"\b[rc]-[0-9a-z]{8}\b", r"[rc]-[0-9a-z]{8}"),
            (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
            (r"\b[0-9a-f]{12}\b", r"[0-9a-f]{12}"),
            (r"\b127\.0\.0\.1:\d+", r"127\.0\.0\.1:\d+"),
            (r"\b\d+\.\d s\b", r"\d+\.\d s"),
            (r"\b\d+[smh] ago", r"\d+[smh] ago"),
            (r"\(\d+ B\b", r"\(\d+ B"),
            (r" {2,}", r" +"),
            ("…", ".*"),
        ];
        let any = Regex::new(&DIFFERENT.map(|(shown, _)| format!("({shown})")).join("|")).unwrap();
        let mut pattern = String::from("^");
        let mut from = 0;
        for found in any.captures_iter(line) {
            let whole = found.get(0).unwrap();
            pattern += &regex::escape(&line[from..whole.start()]);
            let kind = (1..=DIFFERENT.len()).find(|n| found.get(*n).is_some()).unwrap();
            pattern += match self.ids.get(whole.as_str()) {
                Some(known) => known,
                None => DIFFERENT[kind - 1].1,
            };
            from = whole.end();
        }
        Regex::new(&format!("{pattern}{}$", regex::escape(&line[from..]))).unwrap()
    }

    /// Which ids the guide's ids stand for.
    fn learn(&mut self, shown: &str, printed: &str) {
        let id = Regex::new(r"\b[rc]-[0-9a-z]{8}\b").unwrap();
        for (theirs, ours) in id.find_iter(shown).zip(id.find_iter(printed)) {
            self.ids.entry(theirs.as_str().to_owned()).or_insert_with(|| ours.as_str().to_owned());
        }
    }
}
