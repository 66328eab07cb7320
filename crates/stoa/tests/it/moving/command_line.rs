//! Moving on the command line, without a running server and beside one.

use serde_json::{Value, json};

use super::{number, own_database};
use crate::support::{Serving, TestInstance, on_managed_cluster};

#[tokio::test(flavor = "multi_thread")]
async fn a_command_moves_a_database_and_drops_the_one_that_was_left() {
    let program = on_managed_cluster().await;
    let (serving, program) = Serving::start(program, &["serve"]);
    let server = serving.caller(&program);
    let client = TestInstance::active(&server, "Acme").await;
    client.session(&server).await;
    serving.end_by(rustix::process::Signal::TERM);

    let json_of = |arguments: &[&str]| -> Value {
        let run = program.run(arguments);
        assert_eq!(run.status, 0, "{run:?}");
        serde_json::from_str(&run.stdout).unwrap()
    };
    let own = own_database().await;
    let to_own = ["instance", "move", "acme", "--database-url", &own, "--json"];
    let moved = json_of(&to_own);
    assert_eq!(moved["move"]["phase"], "done", "{moved}");
    assert_eq!(
        number(&own, "SELECT count(*) FROM stoa.chat_sessions").await,
        1
    );
    let back = ["instance", "move", "acme", "--managed"];
    let early = program.run(&back);
    assert_eq!(early.status, 1);
    assert!(early.stderr.contains("drop-previous-database"), "{early:?}");
    assert!(!early.stderr.contains(&own), "{early:?}");
    let drop = ["instance", "drop-previous-database", "acme", "--json"];
    assert_eq!(
        program.run(&drop).status,
        2,
        "it cannot be undone and nobody is asked"
    );
    let dropped = json_of(&[drop.as_slice(), &["--yes"]].concat());
    assert_eq!(dropped["move"]["previous_kept"], false);

    // Beside a server, which may take the work.
    let (serving, program) = Serving::start(program, &["serve"]);
    let run = program.run(&back);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""), "{run:?}");
    assert!(run.stdout.starts_with("The move is done"), "{run:?}");
    let server = serving.caller(&program);
    let (_, shown) = super::call(
        &server,
        &client,
        reqwest::Method::GET,
        "/instance",
        json!(null),
    )
    .await;
    assert_eq!(shown["database"]["mode"], "managed");
    let nothing = program.run(&["instance", "move", "acme"]);
    assert_eq!(nothing.status, 2, "{nothing:?}");
    serving.end_by(rustix::process::Signal::TERM);
}
