//! Single values, with messages that say what would be right.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use url::{Host, Url};

use super::ChangeEvents;

/// A setting that takes one of a few words.
pub(super) trait Word: Copy + 'static {
    /// The words, in the order in which they are documented.
    const ALL: &'static [(&'static str, Self)];
}

pub(super) fn word<'de, T: Word, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    let text = String::deserialize(from)?;
    T::ALL.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<&str> = T::ALL.iter().map(|(word, _)| *word).collect();
        let meant = super::load::nearest(&text, words.iter().copied())
            .map(|word| format!("; did you mean {word:?}?"))
            .unwrap_or_default();
        D::Error::custom(format!("{text:?} is none of {}{meant}", words.join(", ")))
    })
}

/// A time with its unit, above zero.
pub(super) fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    if text.trim().parse::<f64>().is_ok() {
        return Err(D::Error::custom(format!(
            "{text} has no unit; write {text}s, {text}m or {text}h"
        )));
    }
    let (count, days) = match text.trim().strip_suffix('d').map(str::parse::<u32>) {
        Some(Ok(days)) => (days, true),
        _ => (0, false),
    };
    let length = if days {
        Duration::from_secs(u64::from(count) * 24 * 60 * 60)
    } else {
        text.parse::<SignedDuration>()
            .ok()
            .and_then(|length| Duration::try_from(length).ok())
            .ok_or_else(|| {
                D::Error::custom(format!("{text:?} is not a time such as 500ms, 30s, 5m, 2h or 7d"))
            })?
    };
    if length.is_zero() {
        return Err(D::Error::custom(format!("{text:?} is no time at all; write 1s or more")));
    }
    Ok(length)
}

pub(super) fn path<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
    let text = String::deserialize(from)?;
    if text.is_empty() {
        return Err(D::Error::custom("an empty path; write a path such as /var/lib/lockstep"));
    }
    Ok(PathBuf::from(text))
}

pub(super) fn some_path<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PathBuf>, D::Error> {
    path(from).map(Some)
}

pub(super) fn above_zero<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    match u32::deserialize(from)? {
        0 => Err(D::Error::custom("0 would stop all work; write 1 or more")),
        count => Ok(count),
    }
}

pub(super) fn batch<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    match u32::deserialize(from)? {
        count @ 1..=200 => Ok(count),
        other => Err(D::Error::custom(format!(
            "{other} is not between 1 and 200: Salesforce takes 200 records in a call"
        ))),
    }
}

pub(super) fn share<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let share = f64::deserialize(from)?;
    if share > 0.0 && share <= 1.0 {
        Ok(share)
    } else {
        Err(D::Error::custom(format!("{share} is not a share; write 0.25 for a quarter")))
    }
}

/// `v3`, `2026-09` or `66.0`: it becomes a part of a path.
pub(super) fn version<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    if text.is_empty() || !text.chars().all(fits) {
        return Err(D::Error::custom(format!(
            "{text:?} is not a version of the API; see the default for its form"
        )));
    }
    Ok(text)
}

/// `off`, `entities` or a channel's name.
pub(super) fn events<'de, D: Deserializer<'de>>(from: D) -> Result<ChangeEvents, D::Error> {
    let text = String::deserialize(from)?;
    match text.as_str() {
        "off" => Ok(ChangeEvents::Off),
        "entities" => Ok(ChangeEvents::Entities),
        channel if channel.strip_prefix("/data/").is_some_and(|name| !name.is_empty()) => {
            Ok(ChangeEvents::Channel(text))
        }
        _ => Err(D::Error::custom(format!(
            "{text:?} is neither \"entities\", \"off\" nor a channel such as \"/data/ChangeEvents\""
        ))),
    }
}

pub(super) fn some_platform_url<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Url>, D::Error> {
    platform_url(from).map(Some)
}

/// An address of a platform: https, or http on this machine. Tokens would be readable on the way
/// otherwise.
pub(super) fn platform_url<'de, D: Deserializer<'de>>(from: D) -> Result<Url, D::Error> {
    let text = String::deserialize(from)?;
    let url: Url = text.parse().map_err(|error| {
        D::Error::custom(format!("{text:?} is not an address such as https://host ({error})"))
    })?;
    let here = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    match url.scheme() {
        "https" if url.host().is_some() => {}
        "http" if here => {}
        "http" => {
            return Err(D::Error::custom(format!(
                "{text:?} would send tokens in the clear; write https://"
            )));
        }
        _ => {
            return Err(D::Error::custom(format!(
                "{text:?} is not an address that begins with https://"
            )));
        }
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(D::Error::custom("an address with a name or password in it; leave them out"));
    }
    Ok(url)
}

pub(super) fn address<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(from)?;
    let address: SocketAddr = text.parse().map_err(|_| {
        D::Error::custom(format!("{text:?} is not an address with a port; write 127.0.0.1:8765"))
    })?;
    Ok(Some(address))
}

/// A host's name as a browser sends it, without scheme and port.
pub(super) fn host<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(from)?;
    match Host::parse(&text) {
        Ok(Host::Domain(name)) => Ok(Some(name)),
        _ => Err(D::Error::custom(format!(
            "{text:?} is not a host's name; write it without scheme and port, such as \
             lockstep.example.com"
        ))),
    }
}
