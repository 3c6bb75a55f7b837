//! The host without manoward: everyone reaches its services.

use harness::net::station::{HOST, HOST_OPERATIONS};
use harness::programs::openssh;
use harness::programs::tls;

use crate::admission::{connects, login, session};
use crate::scene::Scene;
use crate::stage::Stage;

/// Runs these steps.
pub fn play(stage: &mut Stage, scene: &Scene) {
    let topology = &scene.topology;
    stage.step("the VIM opens TLS on 16514", || {
        session(scene, &topology.vim, HOST.v4)
    });
    stage.step("the bastion logs in by SSH", || {
        login(scene, &topology.bastion, HOST_OPERATIONS.v4)
    });
    for port in [openssh::PORT, tls::PORT] {
        stage.step(&format!("the intruder reaches {port}, too"), || {
            connects(&topology.intruder, HOST.v4, port)
        });
    }
}
