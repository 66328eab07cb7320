//! What the command line takes and refuses, and where it says so.

use std::process::Stdio;

use crate::program::Program;

#[test]
fn wrong_usage_is_status_2_and_silent_on_standard_output() {
    let program = Program::new();
    for wrong in [
        &[][..],
        &["no-such-command"],
        &["doctor", "--no-such-option"],
        &["completions"],
        &["completions", "tcsh"],
        &["instance"],
        &["instance", "create"],
        &["instance", "create", "--name", "Acme"],
        &["instance", "show"],
        &["super-admin", "create"],
        &["token", "create"],
        &["serve", "extra"],
    ] {
        let run = program.run(wrong);
        assert_eq!(run.status, 2, "{wrong:?}: {run:?}");
        assert_eq!(run.stdout, "", "{wrong:?}");
        assert!(run.stderr.contains("error: usage: "), "{run:?}");
    }
}

#[test]
fn help_and_version_are_results() {
    let program = Program::new();
    let help = program.run(&["--help"]);
    assert_eq!(help.status, 0);
    assert!(help.stdout.contains("Usage: stoa"), "{help:?}");
    assert!(
        !help.stdout.contains("extract-document"),
        "an inner command is not offered: {help:?}"
    );
    let version = program.run(&["--version"]);
    assert_eq!(
        version.stdout.trim(),
        format!("stoa {}", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn completions_are_scripts_for_three_shells() {
    let program = Program::new();
    for (shell, mark) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef stoa"),
        ("fish", "complete -c stoa"),
    ] {
        let run = program.run(&["completions", shell]);
        assert_eq!((run.status, run.stderr.as_str()), (0, ""), "{shell}");
        assert!(run.stdout.contains(mark), "{shell}");
    }
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let program = Program::new();
    let mut child = program
        .command(&["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn an_unknown_name_is_a_warning_and_a_malformed_value_an_error() {
    let doctor = |program: &Program| program.run(&["doctor", "--json"]);
    let mistyped = doctor(&Program::new().with("STOA_MASTERKEY", "hunter2"));
    assert!(
        mistyped.stdout.contains("did you mean STOA_MASTER_KEY?"),
        "{mistyped:?}"
    );

    let malformed = doctor(&Program::new().with("PORT", "eighty"));
    assert_eq!(malformed.status, 1);
    assert!(
        malformed.stdout.contains("PORT is a port number"),
        "{malformed:?}"
    );
    assert!(!mistyped.stdout.contains("hunter2") && !mistyped.stderr.contains("hunter2"));
}

#[test]
fn the_env_file_is_read() {
    let program = Program::new();
    std::fs::write(program.folder().join(".env"), "STOA_LOG_FORMAT=xml\n").unwrap();
    let run = program.run(&["doctor"]);
    assert_eq!(run.status, 1);
    assert!(run.stdout.contains("STOA_LOG_FORMAT"), "{run:?}");
    assert!(
        run.stderr
            .starts_with("error: checks_failed: configuration"),
        "{run:?}"
    );
}

#[test]
fn doctor_says_how_to_make_a_master_key() {
    let run = Program::new().run(&["doctor"]);
    assert_eq!(run.status, 1);
    assert!(
        run.stdout
            .contains("STOA_MASTER_KEY=k1:$(openssl rand -base64 32)"),
        "{run:?}"
    );
    assert!(run.stderr.contains("master_key"), "{run:?}");
}
