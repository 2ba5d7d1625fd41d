//! The listener that HubSpot calls.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use url::Url;

use super::parse::{Word, above_zero, duration, some_path};

/// The listener that HubSpot calls.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhooks {
    /// Its address, or nothing where it is off.
    #[serde(default, deserialize_with = "address")]
    pub listen: Option<SocketAddr>,
    /// The address that HubSpot calls; nothing where it is told by the request.
    #[serde(default, deserialize_with = "public_url")]
    pub public_url: Option<Url>,
    /// Proxies whose word on the address is taken.
    #[serde(deserialize_with = "list")]
    pub trusted_proxies: Vec<Network>,
    /// The file that holds the app's client secret, by which it signs.
    #[serde(default, deserialize_with = "some_path")]
    pub secret_file: Option<PathBuf>,
    /// The signatures that are accepted.
    #[serde(deserialize_with = "versions")]
    pub signatures: Vec<SignatureVersion>,
    /// The largest body, in KiB.
    #[serde(deserialize_with = "above_zero")]
    pub largest_body: u32,
    /// How long a caller may take for its headers, how long for its body, and how long the journal
    /// may take to answer.
    #[serde(deserialize_with = "duration")]
    pub timeout: Duration,
    /// Connections at the same time.
    #[serde(deserialize_with = "above_zero")]
    pub connections: u32,
    /// Deliveries that may wait for the journal.
    #[serde(deserialize_with = "above_zero")]
    pub waiting: u32,
    /// The file of the certificate chain, where the listener speaks TLS itself.
    #[serde(default, deserialize_with = "some_path")]
    pub certificate_file: Option<PathBuf>,
    /// The file of the certificate's private key.
    #[serde(default, deserialize_with = "some_path")]
    pub key_file: Option<PathBuf>,
    /// The file that holds the developer account's API key.
    #[serde(default, deserialize_with = "some_path")]
    pub developer_key_file: Option<PathBuf>,
}

impl Webhooks {
    /// The largest body, in bytes.
    #[must_use]
    pub const fn largest(&self) -> usize {
        (self.largest_body as usize).saturating_mul(1024)
    }
}

/// How requests may be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SignatureVersion {
    /// The body alone.
    V1,
    /// The address as well.
    V2,
    /// The time as well.
    V3,
}

impl Word for SignatureVersion {
    const ALL: &'static [(&'static str, Self)] =
        &[("v3", Self::V3), ("v2", Self::V2), ("v1", Self::V1)];
}

/// A range of addresses: `10.0.0.0/8`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    start: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether `address` lies in it. An IPv4 address in IPv6's clothes is an IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.start, address.to_canonical()) {
            (IpAddr::V4(start), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                start.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(start), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                start.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("{text:?} is no address such as 10.0.0.5 or 10.0.0.0/8");
        let (start, bits) = match text.split_once('/') {
            Some((start, bits)) => (start, Some(bits.parse::<u8>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let start: IpAddr = start.parse::<IpAddr>().map_err(|_| wrong())?.to_canonical();
        let most = if start.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        if bits > most {
            return Err(format!("{text:?}: an address of this kind has {most} bits"));
        }
        Ok(Self { start, bits })
    }
}

/// Words separated by commas, so that an environment variable can hold them as well.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty())
}

fn list<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Network>, D::Error> {
    let text = String::deserialize(from)?;
    words(&text).map(|word| word.parse().map_err(D::Error::custom)).collect()
}

fn versions<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<SignatureVersion>, D::Error> {
    let text = String::deserialize(from)?;
    let found: Vec<_> = words(&text)
        .map(|word| {
            let known = SignatureVersion::ALL.iter().find(|(name, _)| *name == word);
            known.map(|(_, version)| *version).ok_or_else(|| {
                D::Error::custom(format!("{word:?} is none of v3, v2, v1 (separated by commas)"))
            })
        })
        .collect::<Result<_, _>>()?;
    if found.is_empty() {
        return Err(D::Error::custom("no version: every delivery would be refused; write v3"));
    }
    Ok(found)
}

/// Any address: what it lets in is signed.
fn address<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map(Some).map_err(|_| {
        D::Error::custom(format!("{text:?} is not an address with a port; write 127.0.0.1:8766"))
    })
}

/// HubSpot calls https alone; plain http is for a sandbox.
fn public_url<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Url>, D::Error> {
    let text = String::deserialize(from)?;
    let wrong = || {
        D::Error::custom(format!(
            "{text:?} is not the address that HubSpot calls; write \
             https://sync.example.com/webhooks/hubspot"
        ))
    };
    let url: Url = text.parse().map_err(|_| wrong())?;
    let fits = matches!(url.scheme(), "https" | "http") && url.host().is_some();
    if fits && url.query().is_none() && url.fragment().is_none() {
        Ok(Some(url))
    } else {
        Err(wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_the_addresses_of_its_range() {
        for (network, address, inside) in [
            ("10.0.0.0/8", "10.255.1.2", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "::ffff:127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "::1", false),
            ("fd00::/8", "fd12::1", true),
            ("::/0", "fe80::1", true),
            ("::1", "::1", true),
        ] {
            let found = network.parse::<Network>().unwrap().contains(address.parse().unwrap());
            assert_eq!(found, inside, "{address} in {network}");
        }
        for wrong in ["", "proxy", "10.0.0.0/33", "10.0.0.0/x", "::/129", "10.0.0/8"] {
            wrong.parse::<Network>().unwrap_err();
        }
    }
}
