//! The tar headers that a bundle is made of, byte for byte.
//!
//! What always holds: GNU format, owner 0, time 0, no names of owners, and no pax records; a name or target of 100
//! bytes or more comes in a record of its own before the header. These bytes are part of what pieces are named by:
//! changing one of them means that every host is sent everything again.

/// Tar's unit: headers have this length, contents are padded to it.
pub const BLOCK: u64 = 512;

/// What ends an archive.
pub const END: [u8; 1024] = [0; 1024];

/// What a header describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member<'a> {
    /// A regular file, with its length in bytes.
    File(u64),
    /// A folder.
    Dir,
    /// A symbolic link, with its target.
    Link(&'a [u8]),
}

/// How many zero bytes follow a content of `len` bytes.
pub const fn padding(len: u64) -> u64 {
    len.wrapping_neg() % BLOCK
}

/// Everything that precedes the content: records for a long target and a long name where they are needed, then the
/// header.
pub fn header(path: &[u8], mode: u32, member: Member<'_>) -> Vec<u8> {
    let (kind, len, target): (u8, u64, &[u8]) = match member {
        Member::File(len) => (b'0', len, b""),
        Member::Dir => (b'5', 0, b""),
        Member::Link(target) => (b'2', 0, target),
    };
    let mut name = path.to_vec();
    if member == Member::Dir {
        name.push(b'/');
    }
    let mut bytes = Vec::with_capacity(512);
    if target.len() >= NAME_LEN {
        long_record(&mut bytes, b'K', target);
    }
    if name.len() >= NAME_LEN {
        long_record(&mut bytes, b'L', &name);
    }
    bytes.extend_from_slice(&block(&name, mode, len, kind, target));
    bytes
}

/// Length of the fields for name and target. GNU tar uses all of it without a NUL; a record of its own one byte
/// earlier spares every reader that case.
const NAME_LEN: usize = 100;

fn long_record(bytes: &mut Vec<u8>, kind: u8, value: &[u8]) {
    let len = value.len() as u64 + 1;
    bytes.extend_from_slice(&block(b"././@LongLink", 0o644, len, kind, b""));
    bytes.extend_from_slice(value);
    bytes.push(0);
    let padded = bytes.len().next_multiple_of(512);
    bytes.resize(padded, 0);
}

fn block(name: &[u8], mode: u32, len: u64, kind: u8, target: &[u8]) -> [u8; 512] {
    let mut block = [0; 512];
    let cut = |value: &[u8]| value.len().min(NAME_LEN - 1);
    block[..cut(name)].copy_from_slice(&name[..cut(name)]);
    octal(&mut block[100..108], u64::from(mode));
    octal(&mut block[108..116], 0);
    octal(&mut block[116..124], 0);
    number(&mut block[124..136], len);
    octal(&mut block[136..148], 0);
    block[156] = kind;
    block[157..157 + cut(target)].copy_from_slice(&target[..cut(target)]);
    block[257..265].copy_from_slice(b"ustar  \0");
    // The checksum is counted with its own field as eight spaces.
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|&byte| u64::from(byte)).sum();
    octal(&mut block[148..155], sum);
    block
}

/// Octal digits that fill the field but for a last NUL.
fn octal(field: &mut [u8], mut value: u64) {
    let (nul, digits) = field.split_last_mut().expect("a field has a length");
    *nul = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(value & 7).expect("three bits fit a byte");
        value >>= 3;
    }
}

/// A length: octal up to eleven digits (8 GiB), beyond that GNU's base 256.
fn number(field: &mut [u8], value: u64) {
    if value < 1 << 33 {
        octal(field, value);
    } else {
        field.fill(0);
        field[0] = 0x80;
        field[4..12].copy_from_slice(&value.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_gnu_tar_with_owner_zero_and_time_zero() {
        let bytes = header(b"bin/run", 0o755, Member::File(1234));
        assert_eq!(bytes.len(), 512);
        assert_eq!(&bytes[..8], b"bin/run\0");
        assert_eq!(&bytes[100..124], b"0000755\x000000000\x000000000\0");
        assert_eq!(&bytes[124..148], b"00000002322\x0000000000000\0");
        assert_eq!(&bytes[148..156], b"007206\0 ");
        assert_eq!(bytes[156], b'0');
        assert_eq!(&bytes[257..265], b"ustar  \0");
        assert!(bytes[265..].iter().all(|&b| b == 0));
    }

    #[test]
    fn long_names_and_targets_come_in_records_of_their_own() {
        assert_eq!(header(&[b'a'; 99], 0o644, Member::File(0)).len(), 512);
        let bytes = header(&[b'a'; 100], 0o644, Member::Link(&[b't'; 600]));
        assert_eq!(bytes.len(), 512 + 1024 + 512 + 512 + 512);
        assert_eq!((bytes[156], bytes[512 + 1024 + 156]), (b'K', b'L'));
        assert_eq!(&bytes[124..136], b"00000001131\0");
        // A folder's slash counts.
        assert_eq!(header(&[b'a'; 99], 0o755, Member::Dir).len(), 1536);
    }

    #[test]
    fn lengths_beyond_eight_gibibytes_are_written_in_base_256() {
        let eight = 8 << 30;
        assert_eq!(&header(b"a", 0, Member::File(eight - 1))[124..136], b"77777777777\0");
        assert_eq!(&header(b"a", 0, Member::File(eight))[124..136], b"\x80\0\0\0\0\0\0\x02\0\0\0\0");
    }

    #[test]
    fn contents_are_padded_to_whole_blocks() {
        assert_eq!([0, 1, 511, 512, 513].map(padding), [0, 511, 1, 0, 511]);
    }
}
