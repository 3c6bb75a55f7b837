//! What the unit tests share, and the properties that hold for every frame and every image.

pub(crate) mod sample;
pub(crate) mod spread;

mod conversations;
mod layers;
mod properties;
