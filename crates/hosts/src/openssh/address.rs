//! Hosts that are given by their address.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::ssh::AddressFamily;

/// The host as it is called from here on: an address in its usual form, a name in lower case. An address of another
/// family than the one that is asked for stays as it is.
pub(super) fn usual_form(host: &str, family: AddressFamily) -> String {
    if let Some(address) = ipv4(host).filter(|_| family != AddressFamily::Inet6) {
        return address.to_string();
    }
    if let Some(address) = host.parse::<Ipv6Addr>().ok().filter(|_| family != AddressFamily::Inet) {
        return address.to_string();
    }
    let looks_like_one = host.contains(['%', ':']) || host.chars().all(|c| c.is_ascii_digit() || c == '.');
    if looks_like_one { host.to_owned() } else { host.to_ascii_lowercase() }
}

/// As the system reads addresses: `127.1` and `0x7f000001` are 127.0.0.1.
fn ipv4(text: &str) -> Option<Ipv4Addr> {
    let numbers = text.split('.').map(number).collect::<Option<Vec<u32>>>()?;
    let (last, before) = numbers.split_last()?;
    let bytes = u32::try_from(before.len()).ok().filter(|bytes| *bytes < 4)?;
    if before.iter().any(|byte| *byte > 255) || u64::from(*last) >= 1 << (8 * (4 - bytes)) {
        return None;
    }
    let high = before.iter().zip([24, 16, 8]).fold(0, |address, (byte, shift)| address | byte << shift);
    Some(Ipv4Addr::from(high | last))
}

fn number(text: &str) -> Option<u32> {
    let lower = text.to_ascii_lowercase();
    let (digits, radix) = match (lower.strip_prefix("0x"), lower.strip_prefix('0')) {
        (Some(digits), _) => (digits, 16),
        (None, Some(digits)) if !digits.is_empty() => (digits, 8),
        _ => (lower.as_str(), 10),
    };
    let valid = digits.chars().all(|c| c.is_digit(radix));
    if valid { u32::from_str_radix(digits, radix).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_take_their_usual_form_and_names_lower_case() {
        for (text, form) in [
            ("127.1", "127.0.0.1"),
            ("0x7f000001", "127.0.0.1"),
            ("010.0.0.1", "8.0.0.1"),
            ("10", "0.0.0.10"),
            ("1.2.3.256", "1.2.3.256"),
            ("1.2.3.4.5", "1.2.3.4.5"),
            ("FE80::0:1", "fe80::1"),
            ("FE80::1%eth0", "FE80::1%eth0"),
            ("Web.Example", "web.example"),
        ] {
            assert_eq!(usual_form(text, AddressFamily::Any), form, "{text}");
        }
        assert_eq!(usual_form("127.1", AddressFamily::Inet6), "127.1");
    }
}
