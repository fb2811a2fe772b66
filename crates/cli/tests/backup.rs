//! `dictum backup` and `dictum restore`, from one kind of store to the other.

use std::path::Path;
use std::process::{Command, Output};

use dictum_testbed::Places;

fn dictum(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dictum"));
    command.env_clear().args(arguments).output().unwrap()
}

fn succeeds(arguments: &[&str]) -> String {
    let done = dictum(arguments);
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

fn fails(arguments: &[&str], expected: &str) {
    let done = dictum(arguments);
    let message = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{arguments:?}: {message}");
    assert!(message.contains(expected), "{message}");
    assert!(!message.contains("ss/word") && !message.contains("ss%2Fword"), "no passwords: {message}");
}

#[test]
fn keys_move_from_one_store_to_another() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let (first, saved, second) = (path("first"), path("saved"), path("second"));
    fails(&["backup", &saved, "--data", &first], "there is nothing at");
    succeeds(&["keys", "create", "--name", "laptop", "--data", &first]);
    succeeds(&["keys", "create", "--name", "phone", "--instance", "other", "--data", &first]);
    let keys = succeeds(&["keys", "list", "--json", "--data", &first]);

    assert!(succeeds(&["backup", &saved, "--data", &first]).starts_with("saved "));
    assert!(succeeds(&["backup", "verify", &saved]).starts_with("good: "));
    fails(&["backup", &saved, "--data", &first], "is not empty");
    assert!(succeeds(&["restore", &saved, "--data", &second]).starts_with("restored "));
    assert_eq!(succeeds(&["keys", "list", "--json", "--data", &second]), keys);
    fails(&["restore", &saved, "--data", &second], "the store is not empty");
    fails(&["restore", &path("nowhere"), "--data", &path("third")], "is no backup");

    if let Some(servers) = Places::servers("keys_move_from_one_store_to_another") {
        let store = ["--database", &servers.database, "--blobs", &servers.blobs];
        succeeds(&[&["restore", &saved], store.as_slice()].concat());
        assert_eq!(succeeds(&[&["keys", "list", "--json"], store.as_slice()].concat()), keys);
        let again = path("again");
        succeeds(&[&["backup", &again, "--since", &saved], store.as_slice()].concat());
        assert!(succeeds(&["backup", "verify", &again]).starts_with("good: "));
        fails(&[&["restore", &again], store.as_slice()].concat(), "the store is not empty");
    }

    let rows = Path::new(&saved).join("rows/api_keys.jsonl");
    let text = std::fs::read_to_string(&rows).unwrap();
    std::fs::write(&rows, text.replace("laptop", "desk-t")).unwrap();
    fails(&["backup", "verify", &saved], "api_keys");
    fails(&["restore", &saved, "--data", &path("fourth")], "api_keys");
}
