//! What the operator sees: the real commands with their real output.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use harness::Agent;
use harness::net::station::{HOST, INTRUDER, VIM};
use harness::programs::openssh;
use serde_json::Value;

use crate::admission::silence;
use crate::authority;
use crate::identity::{PATIENCE, dropped_for};
use crate::scene::Scene;
use crate::stage::Stage;

/// Exit code of `manoward explain` for a packet that is dropped.
const EXIT_DROPPED: i32 = 10;

/// Exit code of `manoward status` where not every interface is covered.
const EXIT_DEGRADED: i32 = 20;

/// Runs these steps.
pub fn play(stage: &mut Stage, scene: &Scene, agent: &Agent<'_>) {
    // The interface towards its guest is not covered.
    show(
        stage,
        agent,
        &["status"],
        EXIT_DEGRADED,
        "enforcing compute-17",
    );
    show(stage, agent, &["stats"], 0, "Nf-Vi");
    show(
        stage,
        agent,
        &["stats", "--by", "reason"],
        0,
        "unknown-source",
    );
    let host = HOST.v4.to_string();
    for (station, code, says) in [
        (INTRUDER, EXIT_DROPPED, "unknown-source"),
        (VIM, 0, "Nf-Vi"),
    ] {
        let from = station.v4.to_string();
        let question = ["explain", "--from", &from, "--to", &host];
        let service = ["--port", "16514"];
        show(
            stage,
            agent,
            &[&question[..], &service].concat(),
            code,
            says,
        );
    }
    show(stage, agent, &["lease", "list"], 0, authority::VIM);
    stage.step("every drop above was counted with its reason", || {
        let reasons = ["unknown-source", "wrong-role", "wrong-mac", "no-lease"];
        for reason in reasons {
            ensure!(packets(agent, reason)? > 0, "no {reason} was counted");
        }
        Ok(reasons.join(", "))
    });
    stage.step("the authority revokes the VIM's certificate", || {
        scene.authority.revoke("vim-1")?;
        let began = Instant::now();
        agent.await_leases(0, PATIENCE)?;
        let lasted = began.elapsed().as_secs_f64();
        Ok(format!("its lease has ended after {lasted:.1} s"))
    });
    stage.step("the VIM asks for 22", || {
        dropped_for(agent, "no-lease", || {
            silence(&scene.topology.vim, HOST.v4, openssh::PORT)
        })
    });
}

/// Packets that were dropped for a reason, at all reference points.
pub fn packets(agent: &Agent<'_>, reason: &str) -> Result<u64> {
    let stats = agent.ask_json(&["stats"])?;
    let verdicts = stats.get("verdicts").and_then(Value::as_array);
    let verdicts = verdicts.context("the statistics have no verdicts")?;
    let dropped = verdicts
        .iter()
        .filter(|verdict| verdict["reason"] == reason && verdict["fate"] == "dropped");
    Ok(dropped
        .filter_map(|verdict| verdict["packets"].as_u64())
        .sum())
}

/// Runs a command, shows its output, and checks its exit code and that it prints `says`.
fn show(stage: &mut Stage, agent: &Agent<'_>, words: &[&str], code: i32, says: &str) {
    let colour = if console::colors_enabled() {
        "always"
    } else {
        "never"
    };
    let output = agent.cli(&[&["--color", colour], words].concat());
    if let Ok(output) = &output {
        println!("\n  $ manoward {}", words.join(" "));
        for line in output.stdout.lines().chain(output.stderr.lines()) {
            println!("    {line}");
        }
    }
    stage.step(
        &format!("manoward {}", words.first().unwrap_or(&"")),
        || {
            let output = output?;
            let plain = console::strip_ansi_codes(&output.stdout);
            ensure!(
                output.status.code() == Some(code),
                "it ended with {} and should end with {code}",
                output.status
            );
            ensure!(plain.contains(says), "it does not say {says}");
            Ok(format!("exit code {code}"))
        },
    );
}
