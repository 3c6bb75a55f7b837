//! Captures datagrams of enrolment from the wire, to inspect or replay them.

use std::time::Duration;

use anyhow::Result;
use manoward::enrolment::wire;

use crate::machine::namespace::Namespace;
use crate::net::station::{HOST, Station};
use crate::net::wire::Wire;

/// A capture ends after this long without a frame.
const QUIET: Duration = Duration::from_millis(300);

/// Where a frame without VLAN tags and with an IPv4 header of 20 bytes has its fields.
const ETHER_TYPE: usize = 12;
const PROTOCOL: usize = 23;
const SOURCE: usize = 26;
const DESTINATION: usize = 30;
const SOURCE_PORT: usize = 34;
const DESTINATION_PORT: usize = 36;
/// Where the datagram begins.
const DATAGRAM: usize = 42;

/// Taps the cable of one station.
#[derive(Debug)]
pub struct Capture {
    wire: Wire,
    station: Station,
}

/// The datagrams between a station and the host.
#[derive(Clone, Debug, Default)]
pub struct Captured {
    /// The station's frames.
    pub sent: Vec<Vec<u8>>,
    /// The contents of the host's datagrams.
    pub answers: Vec<Vec<u8>>,
}

impl Capture {
    /// Listens from now on, where the station's cable ends.
    pub fn start(switch: &Namespace, station: Station) -> Result<Self> {
        let wire = Wire::open(switch, station.label)?;
        Ok(Self { wire, station })
    }

    /// All datagrams so far, as soon as no more arrive.
    pub fn take(&mut self) -> Result<Captured> {
        let (station, host) = (self.station.v4.octets(), HOST.v4.octets());
        let port = wire::PORT.to_be_bytes();
        let at = |frame: &[u8], place: usize, bytes: &[u8]| frame[place..].starts_with(bytes);
        let is_sent = |frame: &[u8]| {
            at(frame, SOURCE, &station)
                && at(frame, DESTINATION, &host)
                && at(frame, DESTINATION_PORT, &port)
        };
        let is_answer = |frame: &[u8]| {
            at(frame, SOURCE, &host)
                && at(frame, DESTINATION, &station)
                && at(frame, SOURCE_PORT, &port)
        };
        let is_wanted = |frame: &[u8]| {
            frame.len() > DATAGRAM
                && at(frame, ETHER_TYPE, &[8, 0])
                && frame[PROTOCOL] == 17
                && (is_sent(frame) || is_answer(frame))
        };
        let mut captured = Captured::default();
        while let Some(frame) = self.wire.receive(QUIET, is_wanted)? {
            if is_sent(&frame) {
                captured.sent.push(frame);
            } else {
                captured.answers.push(frame[DATAGRAM..].to_vec());
            }
        }
        Ok(captured)
    }
}
