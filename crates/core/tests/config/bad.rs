//! Bad files: what is said of each, all of it.

use std::fmt::Write as _;

use airlift_core::config::{Code, Problem, Severity, parse};

const HEAD: &str = "fleet: hello\nprovider: hosts\nhosts: [10.0.0.4]\n";
const LOCAL: &str = "fleet: hello\nprovider: local\ninstances: 1\n";

fn problems(text: &str) -> Vec<Problem> {
    match parse("airlift.yaml", text) {
        Ok(parsed) => panic!("accepted, with {:?}\n{text}", parsed.warnings),
        Err(problems) => problems.into_vec(),
    }
}

/// The file, and under each line what is said of it.
fn marked(text: &str) -> String {
    let problems = problems(text);
    let mut page = String::new();
    for problem in problems.iter().filter(|problem| problem.at.is_none()) {
        say(&mut page, problem, "");
    }
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        writeln!(page, "| {}", line.trim_end_matches('\n')).expect("a string takes any text");
        let end = offset + line.len();
        let last = end == text.len();
        for problem in &problems {
            if let Some(at) = problem.at.filter(|at| (offset..end).contains(&at.offset) || (last && at.offset == end)) {
                let indent = " ".repeat(at.column - 1);
                say(&mut page, problem, &format!("  {indent}{}\n", "^".repeat(at.len.max(1))));
            }
        }
        offset = end;
    }
    page
}

fn say(page: &mut String, problem: &Problem, marks: &str) {
    page.push_str(marks);
    writeln!(page, "  [{} {}] {problem}", problem.code.as_str(), problem.key_path).expect("a string takes any text");
}

macro_rules! bad {
    ($($name:ident: $($text:expr),+;)+) => {
        $(
            #[test]
            fn $name() {
                insta::assert_snapshot!(stringify!($name), marked(&[$($text),+].concat()));
            }
        )+
    };
}

bad! {
    an_empty_file: "";
    a_file_of_comments: "# nothing yet\n";
    a_file_that_is_a_list: "- fleet\n- provider\n";
    nothing_but_an_unknown_key: "flet: hello\n";
    unknown_keys_at_every_level: HEAD, "sshh: {}\nuser: ubuntu\nssh: {conect_timeout: 10s, jump: x, colour: red}\nbundle: {exclud: []}\nrun: {timout: 1m}\nkeep: {release: 1}\nbootstrap: {scrip: a.sh}\n";
    keys_of_a_host: "fleet: hello\nprovider: hosts\nhosts:\n  - adress: 10.0.0.4\n  - {address: h1, lables: {}, size: big}\n";
    wrong_types: "fleet: [a]\nprovider: {a: b}\nssh: [user]\nrun: fast\nenv: [A=b]\nkeep: {releases: many}\npackages: curl\nservices: {a: b}\nsecrets: []\nbootstrap: [a]\nbundle: app\n";
    values_without_quotes_or_with_too_many: "fleet: 123\nprovider: true\nssh: {port: \"22\", agent: yes, user: 1000, sudo: false}\n";
    durations: LOCAL, "max_lifetime: 90d\nrun: {timeout: 300, upload_timeout: 5 minutes}\nssh: {connect_timeout: 1.5h, keepalive: 0s}\nkeep: {runs: 36h}\nbootstrap: {script: a.sh, timeout: 1d1s}\n";
    numbers_out_of_range: "fleet: hello\nprovider: local\ninstances: 0\nssh: {port: 70000}\nrun: {concurrency: -1}\nkeep: {releases: 1.5}\n";
    too_many_instances_in_all: "fleet: hello\nprovider: local\ninstances: {web: 900, worker: 900, Web: 1}\n";
    no_instances_in_all: "fleet: hello\nprovider: local\ninstances: {web: 0}\n";
    placeholders: "fleet: <your-fleet>\nprovider: hosts\nhosts:\n  - <host-1>\n  - {address: CHANGEME, region: TODO}\nssh: {user: xxx, identity_files: [your-key-here]}\nenv: {API: CHANGEME}\n";
    empty_values: "fleet:\nprovider: \"\"\nssh:\nhosts: []\nbundle: {include: [], destination: }\nenv: {A: }\n";
    duplicate_keys: HEAD, "fleet: again\nrun:\n  timeout: 1m\n  timeout: 2m\nenv: {A: b, A: c}\n";
    keys_of_another_provider_under_local: LOCAL, "hosts: [a]\npackages: [curl]\nbundle: {owner: app}\n";
    keys_of_another_provider_under_hosts: HEAD, "instances: 3\nmax_lifetime: 8h\n";
    aws_is_not_there_yet: "fleet: hello\nprovider: aws\ninstances: 3\n";
    an_unknown_provider: "fleet: hello\nprovider: host\nhosts: []\n";
    hosts_that_are_one: "fleet: hello\nprovider: hosts\nhosts:\n  - 10.0.0.4\n  - {name: a, address: 10.0.0.4}\n  - {name: b, address: 10.0.0.5}\n  - {name: b, address: 10.0.0.6}\n  - 10.0.0.4:2222\n";
    hosts_that_are_none: "fleet: hello\nprovider: hosts\nhosts:\n  - 10.0.0.4:0\n  - a b\n  - \"::1\"\n  - {name: web/1, address: h}\n  - {address: u@h:1, port: 2, user: v}\n  - 5\n  - name: x\n";
    a_secret_in_plain_text: LOCAL, "secrets:\n  api_key: hunter2\n  token: {value: hunter2}\n  pair: {env: A, file: b}\n  none: {}\n  bad name: {env: a-b}\n  list: [hunter2]\n  number: 1234567\n";
    variables_that_are_none: LOCAL, "env:\n  1A: b\n  A-B: c\n  LIST: [a]\n  AIRLIFT_ROOT: /x\n  DB_PASSWORD: hunter2\n";
    paths_that_lead_astray: HEAD, "bootstrap: ../up.sh\nservices: [app, ../x.service]\nbundle: {include: [../secrets], destination: app, owner: a:b:c}\npackages: [-y, a b]\nssh: {known_hosts: [~root/x], proxy_jump: \"a,b\"}\n";
    names_that_can_be_mended: "fleet: Hello_World\nprovider: Local\ninstances: 1\nssh: {sudo: Auto}\n";
    patterns_without_quotes: LOCAL, "bundle:\n  include:\n    - *.sh\n    - !keep\n  exclude: [*.log]\nrun: {timeout: 5}\n";
    a_tab: LOCAL, "flet: x\nrun:\n\ttimeout: 5m\n";
    an_open_quote: LOCAL, "run: {timeout: 5}\nenv:\n  A: \"b\n  C: d\n";
    an_open_bracket: "flet: hello\nprovider: local\ninstances: [1\nssh:\n  port: 22\n";
    a_line_that_does_not_fit: LOCAL, "ssh:\n  user: me\n port: 22\n";
    a_value_with_a_colon: LOCAL, "env:\n  A: b: c\n";
    a_line_without_a_colon: LOCAL, "bundle\nrun: {}\n";
    a_value_that_begins_with_a_backtick: LOCAL, "env:\n  A: `date`\n";
    two_documents: LOCAL, "---\nfleet: other\n";
    commands_that_cannot_be: LOCAL, "secrets:\n  a: {command: []}\n  b: {command: [\"\", x]}\n  c: {command: \"\"}\n  d: {command: {x: y}}\nenv: {A: \"x\\0\"}\n";
    keys_that_are_no_text: LOCAL, "[a, b]: c\n? {d: e}\n: f\nenv: {1: x}\n";
}

#[test]
fn no_message_repeats_what_stands_below_secrets() {
    let canary = "c4n4ry";
    for text in [
        format!("secrets: {{a: {canary}}}"),
        format!("secrets: {{a: {{value: {canary}}}}}"),
        format!("secrets: {{a: [{canary}]}}"),
        format!("secrets: {{a: {{command: {{x: {canary}}}}}}}"),
        format!("secrets: {{a: {{file: [{canary}]}}}}"),
        format!("secrets: {{a: '<{canary}>'}}"),
        format!("secrets: {{a: *{canary}}}"),
        format!("secrets: {{a: !{canary}}}"),
        format!("secrets: {{a: {{env: '{canary} {canary}'}}}}"),
        format!("secrets: {{a: {{file: '<{canary}>'}}}}"),
        format!("env: {{API_TOKEN: {canary}}}\nx: y"),
        format!("secrets: {canary}"),
        format!("secrets: [a: {canary}]"),
        format!("secrets:\n  a: {canary}\n  b: \"{canary}"),
    ] {
        let problems = problems(&format!("{LOCAL}{text}\n"));
        assert!(!format!("{problems:?}").contains(canary), "{text}: {problems:?}");
        assert!(problems[0].conceals(), "{text}: {problems:?}");
    }
}

#[test]
fn a_warning_does_not_make_an_error_and_stands_among_them() {
    let problems = problems(&format!("{LOCAL}env: {{DB_PASSWORD: hunter2}}\nx: y\n"));
    assert_eq!(problems.iter().map(|p| p.severity).collect::<Vec<_>>(), [Severity::Warning, Severity::Error]);
}

#[test]
fn each_code_has_one_name_in_text_and_in_json() {
    for code in [Code::UnknownKey, Code::NotForProvider, Code::SecretInBundle, Code::NotYet] {
        assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
    }
}

#[test]
fn aliases_that_multiply_are_stopped() {
    let mut text = String::from("a: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..20 {
        let before = level - 1;
        let items = vec![format!("*a{before}"); 10].join(", ");
        writeln!(text, "b{level}: &a{level} [{items}]").unwrap();
    }
    let found = problems(&text);
    assert!(found.iter().any(|problem| problem.code == Code::Unsupported), "{found:?}");
    let deep = format!("a: {}", "[".repeat(5_000));
    assert!(problems(&deep).iter().any(|problem| problem.code == Code::Syntax));
}
