//! Ids of records and links.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Side;

/// One record of one side: its object's name and its id.
///
/// The id is text as the platform prints it; a Salesforce id is always the 18-character form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordRef {
    /// The side it is on.
    pub side: Side,
    /// The object's name in the side's own spelling: `contacts`, `Lead`.
    pub object: String,
    /// The id within the object.
    pub id: String,
}

impl RecordRef {
    /// A record of HubSpot.
    pub fn hubspot(object: impl Into<String>, id: impl Into<String>) -> Self {
        Self { side: Side::HubSpot, object: object.into(), id: id.into() }
    }

    /// A record of Salesforce. The id should be of 18 characters, as every answer of the API is.
    pub fn salesforce(object: impl Into<String>, id: impl Into<String>) -> Self {
        Self { side: Side::Salesforce, object: object.into(), id: id.into() }
    }
}

impl fmt::Display for RecordRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.side, self.object, self.id)
    }
}

/// A link's number, given by the journal and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LinkId(pub u64);

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "L{}", self.0)
    }
}

/// A keyed hash of a matching key (an e-mail address, a domain), where only a look-up is needed and
/// the value itself is not to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fingerprint(pub [u8; 16]);

/// A Salesforce id in its 18-character form.
///
/// The API prints 18 characters; people paste 15 as well. The last three are a checksum of the
/// upper-case letters of the first fifteen, which makes the long form safe to compare without
/// regard to case. (Object Reference, "ID Field Type".)
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SalesforceId(String);

/// Why a text is not a Salesforce id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SalesforceIdError {
    /// Neither 15 nor 18 characters.
    #[error("a Salesforce id has 15 or 18 characters, this has {0}")]
    Length(usize),
    /// A character that no id has.
    #[error("a Salesforce id has letters and digits only, this has {0:?}")]
    Character(char),
    /// The last three characters do not belong to the first fifteen.
    #[error("the last three characters should be {0}: was the id retyped?")]
    Checksum(String),
}

impl SalesforceId {
    /// Reads an id of 15 or 18 characters.
    ///
    /// # Errors
    /// Where the text has another length, another character, or a wrong checksum.
    pub fn parse(text: &str) -> Result<Self, SalesforceIdError> {
        if let Some(odd) = text.chars().find(|c| !c.is_ascii_alphanumeric()) {
            return Err(SalesforceIdError::Character(odd));
        }
        match text.len() {
            15 => Ok(Self(format!("{text}{}", Self::checksum(text)))),
            18 => {
                let (short, suffix) = text.split_at(15);
                let right = Self::checksum(short);
                if suffix.eq_ignore_ascii_case(&right) {
                    Ok(Self(format!("{short}{right}")))
                } else {
                    Err(SalesforceIdError::Checksum(right))
                }
            }
            other => Err(SalesforceIdError::Length(other)),
        }
    }

    fn checksum(short: &str) -> String {
        const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
        short
            .as_bytes()
            .chunks(5)
            .map(|group| {
                let bits = group
                    .iter()
                    .enumerate()
                    .filter(|(_, byte)| byte.is_ascii_uppercase())
                    .fold(0usize, |bits, (place, _)| bits | 1 << place);
                char::from(ALPHABET[bits])
            })
            .collect()
    }

    /// The 18 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first three characters, which name the object.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.0[..3]
    }
}

impl fmt::Display for SalesforceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The standard object whose ids begin with `prefix`, of those that Lockstep meets. A custom
/// object's prefix differs between orgs and is only in its describe result.
#[must_use]
pub fn object_of_prefix(prefix: &str) -> Option<&'static str> {
    Some(match prefix {
        "001" => "Account",
        "003" => "Contact",
        "005" => "User",
        "006" => "Opportunity",
        "00Q" => "Lead",
        "00T" => "Task",
        "00G" => "Group",
        "701" => "Campaign",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_id_gets_its_checksum() {
        let id = SalesforceId::parse("001D000000IRFma").unwrap();
        assert_eq!(id.as_str(), "001D000000IRFmaIAH");
        assert_eq!(SalesforceId::parse("001D000000IRFmaIAH").unwrap(), id);
        assert_eq!(SalesforceId::parse("001D000000IRFmaiah").unwrap(), id);
    }

    #[test]
    fn a_wrong_id_is_told_why() {
        assert_eq!(SalesforceId::parse("001"), Err(SalesforceIdError::Length(3)));
        assert_eq!(SalesforceId::parse("001D000000IRFm-"), Err(SalesforceIdError::Character('-')));
        assert_eq!(
            SalesforceId::parse("001D000000IRFmaAAA"),
            Err(SalesforceIdError::Checksum("IAH".into()))
        );
    }
}
