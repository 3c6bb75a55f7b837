//! Where fields of the kernel's own structures lie, from its type information (BTF).
//!
//! A reader of what is asked for here alone: the kernel describes some 100,000 types, and a library that
//! keeps them all takes half a second, which would delay the protection of the host at every start.
//!
//! Source: Documentation/bpf/btf.rst of the kernel.

use std::{fs, io};

use bytes::Buf as _;

/// The running kernel's type information.
pub(super) const PATH: &str = "/sys/kernel/btf/vmlinux";

const MAGIC: u16 = 0xeb9f;
const HEADER_LEN: usize = 24;
const TYPE_LEN: usize = 12;
const MEMBER_LEN: usize = 12;

/// Kinds of types.
mod kind {
    pub const INT: u32 = 1;
    pub const ARRAY: u32 = 3;
    pub const STRUCT: u32 = 4;
    pub const UNION: u32 = 5;
    pub const ENUM: u32 = 6;
    pub const TYPEDEF: u32 = 8;
    pub const FUNC_PROTO: u32 = 13;
    pub const VAR: u32 = 14;
    pub const DATASEC: u32 = 15;
    pub const DECL_TAG: u32 = 17;
    pub const ENUM64: u32 = 19;
}

/// Offsets in bytes on the way from a packet to the network namespace of its socket.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SocketFields {
    /// Of the pointer to the socket, in `sk_buff`.
    pub socket: u32,
    /// Of the pointer to the namespace, in `sock`.
    pub namespace: u32,
    /// Of the namespace's inode, in `net`.
    pub inode: u32,
}

impl SocketFields {
    /// Those of the running kernel; `None` where its type information does not tell them.
    ///
    /// # Errors
    ///
    /// Type information that cannot be read.
    pub(super) fn of_kernel() -> io::Result<Option<Self>> {
        let bytes = fs::read(PATH)?;
        Ok(Types::new(&bytes).and_then(|types| {
            Some(Self {
                socket: types.offset("sk_buff", &["sk"])?,
                namespace: types.offset("sock", &["__sk_common", "skc_net", "net"])?,
                inode: types.offset("net", &["ns", "inum"])?,
            })
        }))
    }
}

/// One type.
#[derive(Clone, Copy)]
struct Type<'a> {
    name: u32,
    info: u32,
    /// Number of the type that this is another name of.
    target: u32,
    /// What follows, such as the members of a structure.
    rest: &'a [u8],
}

impl Type<'_> {
    const fn kind(self) -> u32 {
        self.info >> 24 & 0x1f
    }

    const fn count(self) -> usize {
        (self.info & 0xffff) as usize
    }

    const fn is_structure(self) -> bool {
        matches!(self.kind(), kind::STRUCT | kind::UNION)
    }

    /// Length of what follows; `None` for a kind that is not known.
    const fn rest_len(self) -> Option<usize> {
        Some(match self.kind() {
            kind::INT | kind::VAR | kind::DECL_TAG => 4,
            kind::ARRAY => 12,
            kind::STRUCT | kind::UNION => self.count() * MEMBER_LEN,
            kind::ENUM | kind::FUNC_PROTO => self.count() * 8,
            kind::DATASEC | kind::ENUM64 => self.count() * 12,
            0..=kind::ENUM64 => 0,
            _ => return None,
        })
    }
}

struct Types<'a> {
    /// In the order of their numbers, from 1.
    types: Vec<Type<'a>>,
    strings: &'a [u8],
}

impl<'a> Types<'a> {
    /// Reads `bytes`; `None` if they are not what the kernel describes, or newer than this.
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let mut header = bytes.get(..HEADER_LEN)?;
        let magic = header.get_u16_ne();
        let _version_and_flags = header.get_u16_ne();
        let [start, types, types_len, strings, strings_len] =
            [(); 5].map(|()| header.get_u32_ne() as usize);
        if magic != MAGIC {
            return None;
        }
        let body = bytes.get(start..)?;
        let strings = body.get(strings..)?.get(..strings_len)?;
        let mut left = body.get(types..)?.get(..types_len)?;
        let mut types = Vec::with_capacity(left.len() / 2 / TYPE_LEN);
        while !left.is_empty() {
            let (mut fixed, rest) = left.split_at_checked(TYPE_LEN)?;
            let mut it = Type {
                name: fixed.get_u32_ne(),
                info: fixed.get_u32_ne(),
                target: fixed.get_u32_ne(),
                rest: &[],
            };
            (it.rest, left) = rest.split_at_checked(it.rest_len()?)?;
            types.push(it);
        }
        Some(Self { types, strings })
    }

    /// Offset in bytes of the field at `path` in the structure `name`.
    fn offset(&self, name: &str, path: &[&str]) -> Option<u32> {
        let is = |it: &&Type<'_>| it.kind() == kind::STRUCT && self.is_named(it.name, name);
        let mut structure = *self.types.iter().find(is)?;
        let mut bits = 0;
        for field in path {
            let (at, target) = self.member(structure, field)?;
            bits += at;
            structure = self.resolved(target)?;
        }
        (bits % 8 == 0).then_some(bits / 8)
    }

    /// Offset in bits and type of the member `name`, also one of a structure without a name in it.
    fn member(&self, structure: Type<'_>, name: &str) -> Option<(u32, u32)> {
        if !structure.is_structure() {
            return None;
        }
        structure.rest.chunks_exact(MEMBER_LEN).find_map(|mut it| {
            let (member, target, place) = (it.get_u32_ne(), it.get_u32_ne(), it.get_u32_ne());
            // The upper byte of a structure with bit fields has their sizes.
            let place = if structure.info >> 31 == 0 {
                place
            } else {
                place & 0x00ff_ffff
            };
            if member != 0 {
                return self.is_named(member, name).then_some((place, target));
            }
            let (inner, target) = self.member(self.resolved(target)?, name)?;
            Some((place + inner, target))
        })
    }

    /// The type with the number `id`, whatever it is called in between.
    fn resolved(&self, id: u32) -> Option<Type<'a>> {
        let mut found = *self.types.get((id as usize).checked_sub(1)?)?;
        while found.kind() == kind::TYPEDEF {
            found = *self.types.get((found.target as usize).checked_sub(1)?)?;
        }
        Some(found)
    }

    fn is_named(&self, at: u32, name: &str) -> bool {
        let text = self.strings.get(at as usize..).unwrap_or_default();
        text.strip_prefix(name.as_bytes())
            .is_some_and(|rest| rest.first() == Some(&0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_kernel_tells_where_a_packets_namespace_is() {
        let fields = SocketFields::of_kernel().unwrap().unwrap();
        // A packet begins with the pointers of its queue, and a socket with its addresses.
        assert!(fields.socket >= 16, "{fields:?}");
        assert!(fields.namespace >= 16, "{fields:?}");
        assert!(fields.inode > 0, "{fields:?}");
    }

    #[test]
    fn fields_are_found_in_structures_without_a_name() {
        // struct a { u32 x; union { u32 b; }; struct { u32 c:3; T d; }; } and typedef struct a T.
        let strings = b"\0a\0b\0c\0d\0x\0T\0";
        let word =
            |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|w| w.to_ne_bytes()).collect() };
        let types = word(&[
            0,
            1 << 24,
            4,
            32, // 1: u32
            1,
            4 << 24 | 3,
            12,
            9,
            1,
            0,
            0,
            3,
            32,
            0,
            4,
            64, // 2: a
            0,
            5 << 24 | 1,
            4,
            3,
            1,
            0, // 3
            0,
            1 << 31 | 4 << 24 | 2,
            4,
            5,
            1,
            3 << 24,
            7,
            5,
            32, // 4
            11,
            8 << 24,
            2, // 5: T
        ]);
        let lens = [
            24,
            0,
            types.len() as u32,
            types.len() as u32,
            strings.len() as u32,
        ];
        let mut bytes = vec![];
        bytes.extend(MAGIC.to_ne_bytes());
        bytes.extend([1, 0]);
        bytes.extend(word(&lens));
        bytes.extend(types);
        bytes.extend(strings);
        let read = Types::new(&bytes).unwrap();
        assert_eq!(read.offset("a", &["x"]), Some(0));
        assert_eq!(read.offset("a", &["b"]), Some(4));
        assert_eq!(read.offset("a", &["c"]), Some(8));
        assert_eq!(read.offset("a", &["d"]), Some(12));
        assert_eq!(read.offset("a", &["d", "b"]), Some(16));
        assert_eq!(read.offset("a", &["x", "b"]), None);
        assert_eq!(read.offset("T", &["x"]), None);
        for short in 0..bytes.len() {
            assert!(Types::new(&bytes[..short]).is_none());
        }
    }
}
