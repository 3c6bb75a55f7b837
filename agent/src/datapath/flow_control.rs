//! What the programs are told about the table of flows.

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

/// What the programs were told about the flows pinned under `pins`.
pub fn read(pins: &Pins) -> Result<FlowControl, LoadError> {
    let value = map(pins)?.get(&0, 0);
    Ok(value.map_err(map_failed(name::FLOW_CONTROL))?.0)
}

/// What the programs were told about the flows pinned under `pins`, or are to be if there are none.
/// Leases that are there keep the clock that they were given by.
pub(super) fn read_or_new(pins: &Pins, features: Features) -> Result<FlowControl, LoadError> {
    if pins.map(name::FLOW_CONTROL).exists() {
        let control = read(pins)?;
        if control.seed != 0 {
            return Ok(control);
        }
    }
    Ok(FlowControl {
        // 0 stands for none.
        seed: getrandom::u64().map_err(LoadError::Seed)? | 1,
        adopting_until: 0,
        jiffies_per_second: features.jiffies_per_second.unwrap_or(0),
    })
}

/// Tells the programs about the flows pinned under `pins`.
pub(super) fn write(pins: &Pins, control: FlowControl) -> Result<(), LoadError> {
    map(pins)?
        .set(0, FlowControlValue(control), 0)
        .map_err(map_failed(name::FLOW_CONTROL))
}

/// Tells them `control` about a new table; what they were told about an old one stays.
pub(super) fn write_if_new(pins: &Pins, control: FlowControl) -> Result<(), LoadError> {
    if read(pins)?.seed == 0 {
        write(pins, control)?;
    }
    Ok(())
}
