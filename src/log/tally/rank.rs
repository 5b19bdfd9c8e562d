//! Who stays when not all can (`bound`): a hash of clients and of their pairs, the same on every machine and in every
//! version, so that whoever counts a share of the records gives up the same ones.

use std::net::IpAddr;

// No byte of these is printable, so no name can make a factor zero.
const SECRETS: [u64; 2] = [0xa1f3_8b9d_c7e5_93b1, 0xe9c4_d28f_96ab_85f7];

/// Where a pair stands among its client's pairs, by the ranks of client and name: those are worth keeping, pairs are many.
#[inline]
pub(super) fn rank(client: u64, name: u64) -> u64 {
    mix(client, name)
}

/// What a name adds to the rank of its pairs.
pub(super) fn name_rank(name: &str) -> u64 {
    hash(0x2c1b_3c6d_8e21_5f47, name.as_bytes())
}

/// Where a client stands among all clients.
pub(super) fn client_rank(client: IpAddr) -> u64 {
    let bytes = match client {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    };
    hash(0x9e6c_63d0_876a_3f6b, &bytes)
}

/// Written here because tallies of other machines and other versions are merged: no library promises its hash's value.
/// Whoever knows it can choose which of their own names survive; that lies in the rule.
fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let mut state = mix(seed, bytes.len() as u64);
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        state = mix(state, u64::from_le_bytes(word));
    }
    mix(state, SECRETS[0])
}

#[inline]
fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ SECRETS[0]) * u128::from(b ^ SECRETS[1]);
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_same_for_ever() {
        let client = client_rank(IpAddr::from([10, 1, 2, 3]));
        assert_eq!(client, 18_397_469_330_865_275_283);
        assert_eq!(rank(client, name_rank("db.shop.svc.cluster.local")), 6_296_621_442_927_382_758);
    }
}
