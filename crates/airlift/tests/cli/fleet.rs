//! A fleet of two from its plan to its end, as it is printed where standard output is no terminal.

use insta::assert_snapshot;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::support::{Sandbox, eventually};
use super::{shown, two};

#[test]
fn the_life_of_a_fleet_as_it_is_printed() {
    let sandbox = two();
    assert_snapshot!("life__1_plan", shown(&sandbox, &["plan"]));
    assert_snapshot!("life__2_up", shown(&sandbox, &["up"]));
    assert_snapshot!("life__3_up_again", shown(&sandbox, &["up"]));
    assert_snapshot!("life__3_push_nothing", shown(&sandbox, &["push"]));
    assert_snapshot!("life__4_status", shown(&sandbox, &["status"]));
    assert_snapshot!("life__5_run", shown(&sandbox, &["run", "hello.sh"]));
    sandbox.write("one.sh", "echo $AIRLIFT_HOST; [ \"$AIRLIFT_HOST\" = web/1 ]");
    assert_snapshot!("life__6_run_fails_on_one", shown(&sandbox, &["run", "one.sh"]));
    assert_snapshot!("life__7_run_quietly", shown(&sandbox, &["run", "one.sh", "--quiet"]));
    assert_snapshot!("life__7_run_quietly_and_well", shown(&sandbox, &["run", "hello.sh", "--quiet"]));
    assert_snapshot!("life__8_runs", shown(&sandbox, &["runs"]));
    assert_snapshot!("life__9_logs", shown(&sandbox, &["logs"]));
    assert_snapshot!("life__9_logs_boot", shown(&sandbox, &["logs", "boot"]));
    assert_snapshot!("life__9_logs_of_one", shown(&sandbox, &["logs", "--host", "web/2", "--stream", "stdout"]));
    sandbox.write("app/page", "another page\n");
    assert_snapshot!("life__a_push_dry_run", shown(&sandbox, &["push", "--dry-run"]));
    assert_snapshot!("life__a_push", shown(&sandbox, &["push"]));
    assert_snapshot!("life__b_audit_list", shown(&sandbox, &["audit", "list"]));
    let run = sandbox
        .run(&["audit", "list", "--json"])
        .json()
        .into_iter()
        .find(|row| row["began"]["operation"]["operation"] == "run");
    let change = run.expect("a run among the changes")["change"].as_str().unwrap().to_owned();
    assert_snapshot!("life__c_audit_show", kinds(&shown(&sandbox, &["audit", "show", &change])));
    assert_snapshot!("life__d_audit_export_text", kinds(&shown(&sandbox, &["audit", "export", "--format", "text"])));
    assert_snapshot!("life__e_audit_verify", shown(&sandbox, &["audit", "verify"]));
    assert_snapshot!("life__f_down_is_not_confirmed", shown(&sandbox, &["down"]));
    let down = shown(&sandbox, &["down", "--yes"]);
    let mut lines: Vec<&str> = down.lines().collect();
    for host in ["web/1", "web/2"] {
        let said: Vec<&&str> = lines.iter().filter(|line| line.starts_with(host)).collect();
        assert!(said[0].ends_with("terminated") && said[1].ends_with("gone"), "{said:?}");
    }
    // Hosts come in no order of their own.
    lines[2..6].sort_unstable();
    assert_snapshot!("life__g_down", lines.join("\n"));
    assert_snapshot!("life__h_status_after", shown(&sandbox, &["status"]));
}

/// The lines of a log without their numbers and in no order between hosts: hosts advance by themselves.
fn kinds(text: &str) -> String {
    let number = regex::Regex::new(r"(?m)^ *\d+  ").unwrap();
    let text = number.replace_all(text, "");
    // Records of one change are together; within it the fleet's frame the hosts'.
    // Whether a host is seen before it serves is a matter of luck.
    let mut lines: Vec<&str> = text.lines().filter(|line| !line.ends_with("phase pending")).collect();
    let mut start = 0;
    while start < lines.len() {
        let of_a_host = |line: &&&str| line.contains("  web/");
        let length = lines[start..].iter().take_while(of_a_host).count();
        lines[start..start + length].sort_by_key(|line| line.split("  web/").nth(1).map(|rest| rest[..1].to_owned()));
        start += length.max(1);
    }
    lines.join("\n") + "\n"
}

/// The process that is an instance.
fn instance(sandbox: &Sandbox, host: &str) -> Pid {
    let pid = std::fs::read_to_string(sandbox.instance("two", host).join("lock")).unwrap();
    Pid::from_raw(pid.trim().parse().unwrap()).unwrap()
}

#[test]
fn a_run_that_never_started_does_not_start_on_the_machine_that_has_the_name_by_then() {
    let sandbox = two();
    sandbox.ok(&["up", "--quiet"]);
    // It answers nobody, so that the script cannot have been started when its operator is killed.
    kill_process(instance(&sandbox, "web/1"), Signal::STOP).unwrap();
    let mut run = sandbox.command(&["run", "hello.sh", "--host", "web/1", "--quiet"]).spawn().unwrap();
    eventually("the run to have begun", || !sandbox.ok(&["runs", "--json"]).stdout.is_empty());
    run.kill().unwrap();
    run.wait().unwrap();
    kill_process(instance(&sandbox, "web/1"), Signal::CONT).unwrap();
    sandbox.ok(&["down", "--yes", "--quiet"]);
    sandbox.ok(&["up", "--quiet"]);
    let ran = sandbox.run(&["resume"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(
        ran.stdout.contains("web/1  lost: the machine it was meant for is gone, and the one that has its name now"),
        "{ran:?}"
    );
    assert!(!ran.stdout.contains("hello\n"), "{ran:?}");
}

#[test]
fn a_script_for_an_instance_that_is_gone_is_lost_and_not_waited_for() {
    let sandbox = two();
    let ran = sandbox.run(&["run", "hello.sh", "--host", "web/1"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stdout.contains("web/1  lost: there is no such instance; `airlift up` launches it"), "{ran:?}");

    sandbox.ok(&["up", "--quiet"]);
    kill_process(instance(&sandbox, "web/2"), Signal::KILL).unwrap();
    eventually("the instance to be gone", || sandbox.ok(&["plan"]).stdout.contains("launch"));
    let ran = sandbox.run(&["run", "hello.sh"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let told = "web/2  lost: the machine it was meant for does not run any more; `airlift up` replaces it";
    assert!(ran.stdout.contains(told), "{ran:?}");
    assert!(ran.stdout.contains("web/1 | hello"), "{ran:?}");
}

#[test]
fn old_output_goes_when_a_run_begins_but_for_what_an_unfinished_change_needs() {
    let sandbox = two();
    sandbox.write("airlift.yaml", &format!("{}keep: {{outputs: 2d}}\n", super::TWO));
    sandbox.ok(&["up", "--quiet"]);
    let newest = || sandbox.ok(&["runs", "--json"]).json()[0]["run"].as_str().unwrap().to_owned();
    sandbox.ok(&["run", "hello.sh", "--quiet"]);
    let old = newest();
    sandbox.ok(&["run", "hello.sh", "--quiet"]);
    let young = newest();
    let marker = sandbox.root().join("go");
    sandbox.write("long.sh", &format!("echo begun; while [ ! -e {marker} ]; do sleep 0.1; done\n"));
    sandbox.ok(&["run", "long.sh", "--detach", "--quiet"]);
    let unfinished = newest();
    let runs = sandbox.state().join("airlift/two/runs");
    eventually("some output", || runs.join(&unfinished).exists());
    for run in [&old, &unfinished] {
        let touched = std::process::Command::new("find")
            .args([runs.join(run).as_str(), "-exec", "touch", "-d", "3 days ago", "{}", "+"])
            .status();
        assert!(touched.unwrap().success());
    }
    sandbox.ok(&["run", "hello.sh", "--dry-run"]);
    assert!(runs.join(&old).exists(), "a dry run removes nothing");
    sandbox.ok(&["run", "hello.sh", "--quiet"]);
    assert!(!runs.join(&old).exists());
    assert!(runs.join(&young).exists() && runs.join(&unfinished).exists());

    let ran = sandbox.run(&["logs", &old]);
    assert_eq!(ran.code, Some(5), "{ran:?}");
    assert!(
        ran.stderr.contains(&format!("what {old} printed is not kept any more: here it goes after 2 days")),
        "{ran:?}"
    );
    assert!(ran.stderr.contains("`airlift audit show c-") && ran.stderr.contains("keep.outputs"), "{ran:?}");
    assert!(sandbox.ok(&["logs", &young]).stdout.contains("web/2 | hello"));
    std::fs::write(marker, "").unwrap();
    assert!(sandbox.ok(&["attach"]).stdout.contains("begun"));
}

#[test]
fn an_instance_holds_no_file_that_whoever_started_airlift_had_open() {
    let sandbox = two();
    let held = sandbox.root().join("held");
    let up = sandbox.command(&["up", "--quiet"]);
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "exec 7>\"$0\" 9<&7; exec \"$@\"", held.as_str()]).arg(up.get_program()).args(up.get_args());
    shell.current_dir(sandbox.project()).env_clear();
    shell.envs(up.get_envs().filter_map(|(name, value)| Some((name, value?))));
    assert!(shell.status().unwrap().success());
    let files = std::fs::read_dir(format!("/proc/{}/fd", instance(&sandbox, "web/1"))).unwrap();
    let files: Vec<_> = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok()).collect();
    assert!(files.len() > 3 && !files.iter().any(|file| *file == held), "{files:?}");
}

#[test]
fn status_as_json_is_what_the_reference_says() {
    let sandbox = two();
    sandbox.ok(&["up"]);
    sandbox.ok(&["run", "hello.sh"]);
    // A change that is no run does not change how the last run came out.
    sandbox.write("bad.sh", "exit 1");
    sandbox.run(&["run", "bad.sh", "--host", "web/2"]);
    sandbox.write("app/page", "a third page\n");
    sandbox.ok(&["push"]);
    let lines = sandbox.ok(&["status", "--json"]).json();
    assert_eq!(lines.len(), 1);
    let status = &lines[0];
    assert_eq!((&status["v"], &status["type"], &status["fleet"]), (&1.into(), &"status".into(), &"two".into()));
    let instances = status["instances"].as_array().unwrap();
    assert_eq!(instances.len(), 2);
    let reference = include_str!("../../../../docs/json.md");
    let section = reference.split("\n## status\n").nth(1).unwrap().split("\n## ").next().unwrap();
    for (instance, result) in instances.iter().zip(["succeeded", "failed"]) {
        let fields: Vec<&String> = instance.as_object().unwrap().keys().collect();
        for field in ["id", "region", "type", "phase", "address", "release", "last_run"] {
            assert!(fields.iter().any(|there| *there == field), "{field} in {instance}");
        }
        for field in fields {
            assert!(section.contains(&format!("`{field}`")), "docs/json.md says nothing of {field}");
        }
        assert_eq!(instance["phase"], "ready");
        assert_eq!(instance["type"], "process");
        assert_eq!(instance["release"].as_str().unwrap().len(), 64);
        assert_eq!(instance["last_run"]["result"], result, "{instance}");
        assert!(instance["last_run"]["run"].as_str().unwrap().starts_with("r-"));
    }
    let one = sandbox.ok(&["status", "--json", "--host", "web/2"]).json();
    assert_eq!(one[0]["instances"].as_array().unwrap().len(), 1);
}

#[test]
fn the_end_of_a_change_as_json_names_every_host_with_its_result() {
    let sandbox = two();
    sandbox.ok(&["up"]);
    sandbox.write("one.sh", "[ \"$AIRLIFT_HOST\" = web/1 ] || exit 9");
    let ran = sandbox.run(&["run", "one.sh", "--json"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let lines = ran.json();
    let end = lines.last().unwrap();
    assert_eq!((&end["type"], &end["end"], &end["exit_code"]), (&"end".into(), &"finished".into(), &3.into()));
    let host = |n: usize, field: &str| end["hosts"][n][field].clone();
    assert_eq!(
        (host(0, "id"), host(0, "result"), host(0, "exit_code")),
        ("web/1".into(), "succeeded".into(), 0.into())
    );
    assert_eq!((host(1, "id"), host(1, "result"), host(1, "exit_code")), ("web/2".into(), "failed".into(), 9.into()));
    let reference = include_str!("../../../../docs/json.md");
    for object in [end, &end["hosts"][0]] {
        for field in object.as_object().unwrap().keys() {
            assert!(reference.contains(&format!("`{field}`")), "docs/json.md says nothing of {field}");
        }
    }
    // An up with nothing to do ends with the same kind of line.
    let again = sandbox.ok(&["up", "--json"]).json();
    let again = again.last().unwrap();
    let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields(again), fields(end));
    assert_eq!((&again["change"], &again["succeeded"]), (&Value::Null, &2.into()));

    // And it records nothing.
    let before = sandbox.ok(&["audit", "export"]).stdout;
    assert_eq!(sandbox.ok(&["up"]).stdout, "nothing to do: 2 hosts are ready\n");
    assert_eq!(sandbox.ok(&["audit", "export"]).stdout, before);
    let ran = sandbox.ok(&["up", "--run", "hello.sh"]);
    assert!(ran.stdout.starts_with("nothing to do") && ran.stdout.contains("web/2 | hello"), "{ran:?}");
}

#[test]
fn json_lines_stand_alone_on_standard_output() {
    let sandbox = two();
    for words in [
        &["check"][..],
        &["plan"],
        &["up"],
        &["status"],
        &["run", "hello.sh"],
        &["runs"],
        &["push"],
        &["audit", "list"],
        &["audit", "verify"],
        &["bundle", "show"],
        &["down", "--yes"],
    ] {
        let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
        let ran = sandbox.ok(&words);
        assert!(ran.stderr.is_empty(), "{words:?}: {ran:?}");
        for line in ran.json() {
            assert_eq!(line["v"], 1, "{words:?}: {line}");
            assert!(line["type"].is_string(), "{words:?}: {line}");
        }
    }
}

#[test]
fn a_change_is_the_users_whose_process_began_it_whatever_the_environment_says() {
    let sandbox = two();
    let dry = sandbox.command(&["up", "--dry-run"]).env("USER", "mallory").env("LOGNAME", "mallory").output().unwrap();
    assert!(dry.status.success(), "{dry:?}");
    let user = std::process::Command::new("id").arg("-un").output().unwrap().stdout;
    let began = &sandbox.ok(&["audit", "list", "--json"]).json()[0]["began"];
    assert_eq!(began["actor"]["user"], String::from_utf8(user).unwrap().trim());
}
