//! Values as bytes: a format version, the number of further pieces, postcard, a checksum.
//!
//! ```text
//! first piece:    version u8 | further pieces u16 | payload… | crc32 of key and all before it
//! further pieces: version u8 | payload… | crc32 of key and all before it
//! ```
//! Numbers are big-endian. A value longer than [`PIECE`] continues in rows of [`Kind::Piece`] whose
//! keys are the value's own key and a number: the storage engine is at ease with small values only.
//! The checksum covers the key, so that a value that turns up under another key is found out.

use std::borrow::Cow;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Error;
use super::key::{Key, Kind, hex};

/// The version of the layout of values.
const VERSION: u8 = 2;

/// How many bytes of payload one row carries.
pub(super) const PIECE: usize = 3_800;

/// The longest value: what `u16` pieces can carry is far more than any record's mapped fields.
const LONGEST: usize = PIECE * 4_000;

/// A value, cut into rows.
pub(super) fn encode<T: Serialize>(key: &Key, value: &T) -> Result<Vec<(Key, Vec<u8>)>, Error> {
    let payload = postcard::to_stdvec(value)
        .map_err(|error| Error::Unfit { problem: format!("a {}: {error}", kind_name(&key.0)) })?;
    if payload.len() > LONGEST {
        let (kind, length) = (kind_name(&key.0), payload.len());
        return Err(Error::Unfit {
            problem: format!("a {kind} of {length} bytes; at most {LONGEST} are possible"),
        });
    }
    let mut pieces = payload.chunks(PIECE);
    let first = pieces.next().unwrap_or_default();
    let rest: Vec<_> = pieces.collect();
    let count = u16::try_from(rest.len()).unwrap_or(u16::MAX);
    let mut head = vec![VERSION];
    head.extend_from_slice(&count.to_be_bytes());
    head.extend_from_slice(first);
    let mut rows = vec![(key.clone(), sealed(key, head))];
    for (number, piece) in (0u16..).zip(rest) {
        let key = piece_key(&key.0, number);
        let mut body = vec![VERSION];
        body.extend_from_slice(piece);
        let body = sealed(&key, body);
        rows.push((key, body));
    }
    Ok(rows)
}

fn sealed(key: &Key, mut body: Vec<u8>) -> Vec<u8> {
    let sum = checksum(&key.0, &body);
    body.extend_from_slice(&sum.to_be_bytes());
    body
}

fn checksum(key: &[u8], body: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(key);
    sum.update(body);
    sum.finalize()
}

/// The key of a value's further piece.
pub(super) fn piece_key(key: &[u8], number: u16) -> Key {
    Key::new(Kind::Piece).bytes(key).bytes(&number.to_be_bytes())
}

/// The key and the number of the value that a piece belongs to.
pub(super) fn piece_owner(key: &[u8]) -> Option<(&[u8], u16)> {
    let (front, number) = key.split_last_chunk::<2>()?;
    Some((front.get(1..)?, u16::from_be_bytes(*number)))
}

/// How many further pieces a value has, by its first row as stored.
pub(super) fn further_pieces(first: &[u8]) -> u16 {
    first.get(1..3).and_then(|count| count.try_into().ok()).map_or(0, u16::from_be_bytes)
}

/// Puts a value together from its first row; `piece` fetches the further ones.
pub(super) fn decode<T: DeserializeOwned>(
    key: &[u8],
    first: &[u8],
    piece: impl FnMut(&Key) -> Result<Option<Vec<u8>>, Error>,
) -> Result<T, Error> {
    let payload = payload(key, first, piece)?;
    match postcard::take_from_bytes(&payload) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(unreadable(key, &format!("{} bytes are left over", rest.len()))),
        Err(error) => Err(unreadable(key, &error.to_string())),
    }
}

/// The bytes of a value, from all its rows.
pub(super) fn payload<'a>(
    key: &[u8],
    first: &'a [u8],
    mut piece: impl FnMut(&Key) -> Result<Option<Vec<u8>>, Error>,
) -> Result<Cow<'a, [u8]>, Error> {
    let Some((count, front)) = opened(key, first)?.split_first_chunk::<2>() else {
        return Err(unreadable(key, "it is too short"));
    };
    let count = u16::from_be_bytes(*count);
    let mut payload = Cow::Borrowed(front);
    for number in 0..count {
        let at = piece_key(key, number);
        let Some(row) = piece(&at)? else {
            return Err(unreadable(key, &format!("piece {number} of {count} is missing")));
        };
        payload.to_mut().extend_from_slice(opened(&at.0, &row)?);
    }
    Ok(payload)
}

/// Checks version and checksum of one row; the bytes between them.
pub(super) fn opened<'a>(key: &[u8], row: &'a [u8]) -> Result<&'a [u8], Error> {
    let Some((body, sum)) = row.split_last_chunk::<4>() else {
        return Err(unreadable(key, "it is too short"));
    };
    if checksum(key, body) != u32::from_be_bytes(*sum) {
        return Err(unreadable(key, "its checksum does not fit: the disk changed it"));
    }
    match body.split_first() {
        Some((&VERSION, rest)) => Ok(rest),
        Some((other, _)) => Err(unreadable(
            key,
            &format!("it has version {other}, this program reads version {VERSION}"),
        )),
        None => Err(unreadable(key, "it is empty")),
    }
}

fn kind_name(key: &[u8]) -> &'static str {
    key.first().and_then(|byte| Kind::of(*byte)).map_or("value of unknown kind", Kind::name)
}

/// The error for a value that cannot be read.
pub(super) fn unreadable(key: &[u8], problem: &str) -> Error {
    Error::Unreadable { kind: kind_name(key), key: hex(key), problem: problem.to_owned() }
}
