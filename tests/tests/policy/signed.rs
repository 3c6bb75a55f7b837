//! Policies that somebody has to have signed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use harness::machine::process::Output;
use harness::scene::watch::enforced;
use harness::{Agent, Policy, Topology};

/// Refused, to protect the host.
const REFUSED: Option<i32> = Some(5);

fn with_serial(serial: u64) -> String {
    let policy = Policy {
        serial,
        ..Policy::default()
    };
    policy.to_string()
}

/// Has the agent trust a key from now on.
fn trust(agent: &mut Agent<'_>, key: &Path) -> Result<()> {
    let path = agent.folder().join("agent.yaml");
    let config = fs::read_to_string(&path)?;
    fs::write(
        &path,
        format!("{config}trusted_keys: [{}]\n", key.display()),
    )?;
    agent.restart()
}

fn apply(agent: &Agent<'_>, path: &Path) -> Result<Output> {
    agent.cli(&["policy", "apply", &path.to_string_lossy()])
}

fn signature_of(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}.sig", path.display()))
}

#[test]
fn only_signed_policies_are_taken_and_at_start_too() -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &with_serial(1))?;
    let key = agent.folder().join("policy.key");
    let key = key.to_string_lossy().into_owned();
    agent.ask(&["policy", "keygen", &key])?;
    trust(&mut agent, Path::new(&format!("{key}.pub")))?;
    // What the kernel enforces stays, and is told.
    enforced(&scene)?;
    let problems = agent.problems()?.join("\n");
    assert!(
        problems.contains("takes only policies that are signed"),
        "{problems}"
    );

    let path = agent.folder().join("next.yaml");
    let name = path.to_string_lossy().into_owned();
    fs::write(&path, with_serial(2))?;
    let output = apply(&agent, &path)?;
    assert_eq!(output.status.code(), REFUSED, "{}", output.stderr);
    assert!(
        output.stderr.contains("manoward policy sign"),
        "{}",
        output.stderr
    );
    agent.ask(&["policy", "sign", "--key", &key, &name])?;
    // Another text under the same signature.
    fs::write(&path, with_serial(3))?;
    let output = apply(&agent, &path)?;
    assert_eq!(output.status.code(), REFUSED, "{}", output.stderr);
    assert!(
        output.stderr.contains("none of this text"),
        "{}",
        output.stderr
    );
    agent.ask(&["policy", "sign", "--key", &key, &name])?;
    apply(&agent, &path)?.succeeded()?;
    assert_eq!(agent.problems()?, Vec::<String>::new());

    // An older one, and one that nobody signed: not over the API, and not from the file either.
    fs::write(&path, with_serial(2))?;
    agent.ask(&["policy", "sign", "--key", &key, &name])?;
    assert_eq!(apply(&agent, &path)?.status.code(), REFUSED);
    let output = agent.cli(&["policy", "rollback", "1"])?;
    assert_eq!(output.status.code(), REFUSED, "{}", output.stderr);
    agent.write_policy(&with_serial(9))?;
    agent.restart()?;
    assert_eq!(agent.serial()?, Some(3));
    let problems = agent.problems()?.join("\n");
    assert!(problems.contains("serial 9 was not applied"), "{problems}");
    let file = agent.folder().join("policy.yaml");
    agent.ask(&["policy", "sign", "--key", &key, &file.to_string_lossy()])?;
    agent.restart()?;
    assert_eq!(agent.serial()?, Some(9));
    enforced(&scene)?;

    // After the host was restarted, with a policy in the state that nobody signed.
    agent.kill9();
    scene.host.enter(|| fs::remove_dir_all(agent.pins()))??;
    let folder = agent.folder().join("state/policies");
    let sheet = fs::read_dir(&folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    let sheet = sheet
        .filter(|path| path.extension().is_some_and(|it| it == "json"))
        .find(|path| path.to_string_lossy().contains("/9-"))
        .context("serial 9")?;
    let text = fs::read_to_string(&sheet)?;
    let mut kept: serde_json::Value = serde_json::from_str(&text)?;
    kept["signature"] = serde_json::Value::Null;
    fs::write(&sheet, kept.to_string())?;
    fs::remove_file(signature_of(&file))?;
    let error = agent.restart().expect_err("nothing is signed").to_string();
    assert!(
        error.contains("takes only policies that are signed"),
        "{error}"
    );
    agent.ask(&["policy", "sign", "--key", &key, &file.to_string_lossy()])?;
    agent.kill9();
    agent.restart()?;
    assert_eq!(agent.serial()?, Some(9));
    enforced(&scene)
}

#[test]
fn openssl_makes_keys_signs_and_verifies() -> Result<()> {
    let scene = Topology::new()?;
    let mut agent = Agent::start(&scene.host, &with_serial(1))?;
    let file = |name: &str| agent.folder().join(name).to_string_lossy().into_owned();
    let (key, public, policy) = (file("key.pem"), file("key.pub"), file("next.yaml"));
    let signature = format!("{policy}.sig");
    let openssl = |words: &[&str]| scene.host.run(&[&["openssl"], words].concat());
    openssl(&["genpkey", "-algorithm", "ed25519", "-out", &key])?;
    openssl(&["pkey", "-in", &key, "-pubout", "-out", &public])?;
    trust(&mut agent, Path::new(&public))?;
    fs::write(&policy, with_serial(2))?;
    let sign = [
        "-sign", "-inkey", &key, "-rawin", "-in", &policy, "-out", &signature,
    ];
    openssl(&[&["pkeyutl"], &sign[..]].concat())?;
    apply(&agent, Path::new(&policy))?.succeeded()?;

    // The other way round, with a key of manoward's.
    let own = agent
        .folder()
        .join("own.key")
        .to_string_lossy()
        .into_owned();
    agent.ask(&["policy", "keygen", &own])?;
    openssl(&["pkey", "-in", &own, "-noout"])?;
    agent.ask(&["policy", "sign", "--key", &own, &policy])?;
    let own = format!("{own}.pub");
    let verify = [
        "-verify", "-pubin", "-inkey", &own, "-rawin", "-in", &policy, "-sigfile", &signature,
    ];
    openssl(&[&["pkeyutl"], &verify[..]].concat())?;
    let output = apply(&agent, Path::new(&policy))?;
    assert_eq!(output.status.code(), REFUSED, "{}", output.stderr);
    Ok(())
}
