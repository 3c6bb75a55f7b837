//! Raw frames on an interface.

use std::fmt;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use pnet_datalink::{Channel, Config, DataLinkReceiver, DataLinkSender};

use crate::machine::namespace::Namespace;

/// Timeout of one read.
const POLL: Duration = Duration::from_millis(20);

/// Buffer sizes, with room for jumbo frames.
const FRAME_BYTES: usize = 65536;

/// Sends frames as they are, and sees every frame that passes the interface, both ways. The kernel
/// takes the outermost VLAN tag off a frame before it is seen here.
pub struct Wire {
    name: String,
    sender: Box<dyn DataLinkSender>,
    receiver: Box<dyn DataLinkReceiver>,
}

impl Wire {
    /// Opens an interface. Frames are kept from now on.
    pub fn open(namespace: &Namespace, interface: &str) -> Result<Self> {
        let name = format!("{}/{interface}", namespace.name());
        let config = Config {
            read_buffer_size: FRAME_BYTES,
            write_buffer_size: FRAME_BYTES,
            read_timeout: Some(POLL),
            ..Config::default()
        };
        let channel = namespace.enter(|| {
            let mut interfaces = pnet_datalink::interfaces().into_iter();
            let found = interfaces.find(|candidate| candidate.name == interface);
            found.map(|found| pnet_datalink::channel(&found, config))
        })?;
        let channel = channel.with_context(|| format!("{name} does not exist"))?;
        match channel.with_context(|| format!("opening {name}"))? {
            Channel::Ethernet(sender, receiver) => Ok(Self {
                name,
                sender,
                receiver,
            }),
            _ => bail!("{name} is not Ethernet"),
        }
    }

    /// Sends one frame.
    pub fn send(&mut self, frame: &[u8]) -> Result<()> {
        let sent = self
            .sender
            .send_to(frame, None)
            .context("the frame does not fit")?;
        sent.with_context(|| format!("sending {} bytes on {}", frame.len(), self.name))
    }

    /// The next frame that is wanted, if one comes in time.
    pub fn receive(
        &mut self,
        timeout: Duration,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<Option<Vec<u8>>> {
        let deadline = Instant::now() + timeout;
        while Instant::now() < deadline {
            match self.receiver.next() {
                Ok(frame) if wanted(frame) => return Ok(Some(frame.to_vec())),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::TimedOut => {}
                Err(error) => bail!("receiving on {}: {error}", self.name),
            }
        }
        Ok(None)
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
