//! Which objects are selected for change data capture.
//!
//! The selections of the standard channel (Setup, Change Data Capture) and of custom channels are rows
//! of `PlatformEventChannelMember` in the Tooling API, which takes the permission View Setup and
//! Configuration. (Tooling API, PlatformEventChannelMember; Change Data Capture guide, Get Custom
//! Channels and Channel Members)

use serde::Deserialize;

/// One row: an event of a channel. Both may be ids instead of names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Member {
    /// `ChangeEvents`, `Sales__chn`, or the id of a custom channel.
    #[serde(default)]
    pub event_channel: String,
    /// `LeadChangeEvent`, or the id of an entity.
    #[serde(default)]
    pub selected_entity: String,
}

/// Every selection of the org.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selected(pub Vec<Member>);

impl Selected {
    /// Whether changes of `object` become events: on `channel`, or on any where none is named.
    /// Nothing where the rows that may say so hold ids only.
    #[must_use]
    pub fn tells(&self, object: &str, channel: Option<&str>) -> Option<bool> {
        let event = event_name(object);
        let is_it =
            |member: &&Member| member.selected_entity == event || member.selected_entity == object;
        let mut named = self.0.iter().filter(is_it).peekable();
        let nowhere = named.peek().is_none();
        let (mut told, mut unclear) = (false, false);
        for member in named {
            told |= channel.is_none_or(|channel| member.event_channel == channel);
            unclear |= !is_channel(&member.event_channel);
        }
        if told {
            return Some(true);
        }
        let nameless = self.0.iter().any(|member| !member.selected_entity.ends_with(EVENT));
        if unclear || (nowhere && nameless) { None } else { Some(false) }
    }
}

const EVENT: &str = "ChangeEvent";

fn is_channel(name: &str) -> bool {
    name == "ChangeEvents" || name.ends_with("__chn")
}

/// `LeadChangeEvent`, `Visit__ChangeEvent`.
fn event_name(object: &str) -> String {
    match object.strip_suffix("__c") {
        Some(stem) => format!("{stem}__{EVENT}"),
        None => format!("{object}{EVENT}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_selected_is_told_and_what_cannot_be_seen_is_not_taken_for_granted() {
        let some = Selected(vec![
            member("ChangeEvents", "LeadChangeEvent"),
            member("Sales__chn", "Visit__ChangeEvent"),
            member("0YLRM000000004m4AA", "ContactChangeEvent"),
        ]);
        for (object, channel, told) in [
            ("Lead", None, Some(true)),
            ("Lead", Some("ChangeEvents"), Some(true)),
            ("Lead", Some("Sales__chn"), Some(false)),
            ("Visit__c", Some("Sales__chn"), Some(true)),
            ("Account", None, Some(false)),
            ("Contact", None, Some(true)),
            ("Contact", Some("Sales__chn"), None),
        ] {
            assert_eq!(some.tells(object, channel), told, "{object} {channel:?}");
        }
        let nameless = Selected(vec![member("ChangeEvents", "01IRM00000000zz2AA")]);
        assert_eq!(nameless.tells("Visit__c", None), None);
        assert_eq!(Selected::default().tells("Lead", None), Some(false));
    }

    fn member(channel: &str, entity: &str) -> Member {
        Member { event_channel: channel.to_owned(), selected_entity: entity.to_owned() }
    }
}
