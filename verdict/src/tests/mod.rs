//! What the unit tests share, and the properties that hold for every frame and every image.

pub mod sample;
pub mod spread;

mod conversations;
mod properties;
