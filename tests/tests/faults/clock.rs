//! A wall clock that jumps. Time that is measured goes on as ever.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::operator::{Operator, policy};
use harness::scratch::Scratch;
use harness::vigil::STREAM;
use harness::traffic::Stream;
use harness::wait;
use harness::{Outcome, Topology};

use crate::PATIENCE;

/// What tells a program another time, and where Debian has it, by architecture.
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

/// The longest that a session goes on before its certificate is looked at again.
const LOOKED_AT: Duration = Duration::from_secs(90);
