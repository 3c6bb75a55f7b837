//! The control record of the flow table, which the agent writes and the programs read.

use aya::maps::{Array, MapData};
use verdict::layout::FlowControl;

use super::{
    Features, LoadError, Pins,
    error::map_failed,
    maps::{FlowControlValue, name},
    pinned::array,
};

fn map(pins: &Pins) -> Result<Array<MapData, FlowControlValue>, LoadError> {
    array(pins, name::FLOW_CONTROL)
}

/// The record pinned under `pins`.
pub fn read(pins: &Pins) -> Result<FlowControl, LoadError> {
    let value = map(pins)?.get(&0, 0);
    Ok(value.map_err(map_failed(name::FLOW_CONTROL))?.0)
}

/// The record pinned under `pins`, or a new one if there is none. An existing record is kept: flows
/// are found by its seed, and leases expire by its clock.
pub(super) fn read_or_new(pins: &Pins, features: Features) -> Result<FlowControl, LoadError> {
    if pins.map(name::FLOW_CONTROL).exists() {
        let control = read(pins)?;
        if control.seed != 0 {
            return Ok(control);
        }
    }
    Ok(FlowControl {
        // Never 0, which stands for no record.
        seed: getrandom::u64().map_err(LoadError::Seed)? | 1,
        adopting_until: 0,
        jiffies_per_second: features.jiffies_per_second.unwrap_or(0),
        groups_at_sockets: 0,
    })
}

/// Writes the record pinned under `pins`.
pub(super) fn write(pins: &Pins, control: FlowControl) -> Result<(), LoadError> {
    map(pins)?
        .set(0, FlowControlValue(control), 0)
        .map_err(map_failed(name::FLOW_CONTROL))
}

/// Tells the programs whether all that sockets receive from groups is judged there.
pub(super) fn leave_groups(pins: &Pins, to_sockets: bool) -> Result<(), LoadError> {
    let mut control = read(pins)?;
    let told = u64::from(to_sockets);
    if control.groups_at_sockets != told {
        control.groups_at_sockets = told;
        write(pins, control)?;
    }
    Ok(())
}

/// Writes `control` if the table is new; keeps the record of an existing one.
pub(super) fn write_if_new(pins: &Pins, control: FlowControl) -> Result<(), LoadError> {
    if read(pins)?.seed == 0 {
        write(pins, control)?;
    }
    Ok(())
}
