//! A listed address is not enough where the policy binds it to a MAC address.

use std::net::Ipv4Addr;

use anyhow::Result;
use harness::net::station::{HOST, NIC};
use harness::programs::openssh;
use harness::{Agent, Namespace};

use crate::admission::silence;
use crate::identity::dropped_for;
use crate::scene::Scene;
use crate::stage::Stage;

/// The deployment host of the example policy. Nobody has its address in this scene.
const DEPLOYER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 40);

/// Runs these steps.
pub fn play(stage: &mut Stage, scene: &Scene, agent: &Agent<'_>) {
    let intruder = &scene.topology.intruder;
    stage.step("the intruder takes the deployer's address", || {
        take_address(intruder)?;
        dropped_for(agent, "wrong-mac", || {
            silence(intruder, HOST.v4, openssh::PORT)
        })
    });
}

/// Gives the intruder the deployer's address, as the source of its packets to the host.
fn take_address(intruder: &Namespace) -> Result<()> {
    let address = format!("{DEPLOYER}/24");
    intruder.run(&["ip", "address", "add", &address, "dev", NIC])?;
    let (host, source) = (HOST.v4.to_string(), DEPLOYER.to_string());
    intruder.run(&["ip", "route", "add", &host, "dev", NIC, "src", &source])?;
    Ok(())
}
