//! Opens pinned maps without the programs.

use aya::{
    Pod,
    maps::{Array, Map, MapData},
};

use super::{LoadError, Pins, error::map_failed};

/// The map `name` pinned under `pins`.
pub(super) fn pinned_map(pins: &Pins, name: &'static str) -> Result<MapData, LoadError> {
    MapData::from_pin(pins.map(name)).map_err(map_failed(name))
}

/// The array `name` pinned under `pins`.
pub(super) fn array<V: Pod>(
    pins: &Pins,
    name: &'static str,
) -> Result<Array<MapData, V>, LoadError> {
    Map::Array(pinned_map(pins, name)?)
        .try_into()
        .map_err(map_failed(name))
}
