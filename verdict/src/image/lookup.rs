//! Looking up addresses: what kind one is of, and whose.

use super::{
    endpoint::{self, Peer},
    header::Header,
    line::{Missing, Tables},
    place,
    protected::{self, Direct, PROTECTED_BROADCAST},
    service::Rule,
};
use crate::frame::address::{Ipv4, Ipv6};

/// Lookups with so many paths that the kernel verifies each once, as a function of its own, instead
/// of at every use.
pub trait Lookup: Tables {
    /// [`protected::find`] for an IPv4 address.
    ///
    /// # Errors
    ///
    /// [`Missing`] if the image lacks a line.
    #[inline(always)]
    fn protected_ipv4(&self, address: Ipv4) -> Result<u32, Missing>
    where
        Self: Sized,
    {
        protected::find(self, address)
    }

    /// [`protected::find`] for an IPv6 address.
    ///
    /// # Errors
    ///
    /// [`Missing`] if the image lacks a line.
    #[inline(always)]
    fn protected_ipv6(&self, address: Ipv6) -> Result<u32, Missing>
    where
        Self: Sized,
    {
        protected::find(self, address)
    }

    /// [`endpoint::find`] for an IPv4 address.
    ///
    /// # Errors
    ///
    /// [`Missing`] if the image lacks a line.
    #[inline(always)]
    fn endpoint_ipv4(&self, address: Ipv4) -> Result<Peer, Missing>
    where
        Self: Sized,
    {
        endpoint::find(self, address)
    }

    /// [`place::holds`].
    ///
    /// # Errors
    ///
    /// [`Missing`] if the image lacks a line.
    #[inline(always)]
    fn is_at(&self, place: u32, local: [u64; 2], ifindex: u32) -> Result<bool, Missing>
    where
        Self: Sized,
    {
        place::holds(self, place, local, ifindex)
    }

    /// [`place::choose`].
    ///
    /// # Errors
    ///
    /// [`Missing`] if the image lacks a line.
    #[inline(always)]
    fn choose(&self, index: u32, local: [u64; 2], ifindex: u32) -> Result<Rule, Missing>
    where
        Self: Sized,
    {
        place::choose(self, index, local, ifindex)
    }

    /// [`endpoint::find`] for an IPv6 address.
    ///
    /// # Errors
    ///
    /// [`Missing`] if the image lacks a line.
    #[inline(always)]
    fn endpoint_ipv6(&self, address: Ipv6) -> Result<Peer, Missing>
    where
        Self: Sized,
    {
        endpoint::find(self, address)
    }
}

/// A family whose addresses are looked up.
pub trait Listed: Direct {
    /// The value of this address among the protected ones in `tables`; 0 if it is none.
    ///
    /// # Errors
    ///
    /// [`Missing`] if the image lacks a line.
    fn protected<T: Lookup>(self, tables: &T) -> Result<u32, Missing>;

    /// The endpoint whose longest prefix in `tables` covers this address, if one does.
    ///
    /// # Errors
    ///
    /// [`Missing`] if the image lacks a line.
    fn endpoint<T: Lookup>(self, tables: &T) -> Result<Peer, Missing>;
}

impl Listed for Ipv4 {
    #[inline(always)]
    fn protected<T: Lookup>(self, tables: &T) -> Result<u32, Missing> {
        tables.protected_ipv4(self)
    }

    #[inline(always)]
    fn endpoint<T: Lookup>(self, tables: &T) -> Result<Peer, Missing> {
        tables.endpoint_ipv4(self)
    }
}

impl Listed for Ipv6 {
    #[inline(always)]
    fn protected<T: Lookup>(self, tables: &T) -> Result<u32, Missing> {
        tables.protected_ipv6(self)
    }

    #[inline(always)]
    fn endpoint<T: Lookup>(self, tables: &T) -> Result<Peer, Missing> {
        tables.endpoint_ipv6(self)
    }
}

/// The endpoint whose longest prefix covers `source`, for which [`endpoint::find_longest`] has found
/// none.
///
/// # Errors
///
/// [`Missing`] if the image lacks a line.
#[inline(always)]
pub fn find_shorter<A: Listed, T: Lookup>(tables: &T, source: A) -> Result<Peer, Missing> {
    if Header::of(tables)?.flags().lengths::<A>() < 2 {
        return Ok(Peer(0));
    }
    source.endpoint(tables)
}

/// What kind of address a packet is for, or from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Destination {
    /// Not a protected address.
    Unprotected,
    /// A protected address.
    Protected,
    /// Multicast or broadcast: enforced where it asks for a service of the host, as a socket
    /// bound to every address receives it; free otherwise, as neighbours and tenants need it.
    Group,
    /// An address of the loopback interface.
    Loopback,
}

impl Destination {
    /// Whether the host, or a guest, has the address for itself.
    #[inline(always)]
    #[must_use]
    pub fn is_own(self) -> bool {
        self == Self::Protected || self == Self::Loopback
    }
}

/// Finds what kind of address `address` is.
///
/// No address of the loopback interface is among the protected ones. One word tells of nearly all of them; only an address whose direct entry another one has is
/// looked up among all.
#[inline(always)]
pub fn destination<A: Listed, T: Lookup>(tables: &T, address: A) -> Result<Destination, Missing> {
    let value = match address.direct(tables)? {
        Some(value) => value,
        None => address.protected(tables)? as u8,
    };
    match u32::from(value) {
        0 => {}
        PROTECTED_BROADCAST => return Ok(Destination::Group),
        _ => return Ok(Destination::Protected),
    }
    Ok(if address.is_group() {
        Destination::Group
    } else if address.is_loopback() {
        Destination::Loopback
    } else {
        Destination::Unprotected
    })
}
