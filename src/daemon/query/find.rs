//! From what a person pastes to links.

use std::collections::BTreeSet;

use url::Url;

use super::Desk;
use crate::daemon::control::Refused;
use crate::journal::LinkEntry;
use crate::mapping::Mapping;
use crate::record::{LinkId, RecordRef, SalesforceId, Value, object_of_prefix};

impl Desk<'_> {
    /// The links that `what` names, those that ended included: by number, by one of its handoffs, by
    /// either record's id, by the address of a record's page, or by a matching key.
    pub(super) async fn find(self, what: &str) -> Result<Vec<LinkEntry>, Refused> {
        let what = what.trim();
        if let Some(id) = link_id(what) {
            return Ok(self.journal.link(id).await?.into_iter().collect());
        }
        let id = record_id(what);
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        for mapping in &self.mappings.list {
            let records = records(mapping, &id);
            let by_record = self.journal.links_of(&mapping.name, records).await?;
            let mut links: Vec<LinkEntry> = by_record.into_iter().flatten().collect();
            for key in keys(mapping, what) {
                let print = self.journal.fingerprint(&key);
                links.extend(self.journal.links_with(&mapping.name, print).await?);
            }
            found.extend(links.into_iter().filter(|link| seen.insert(link.id)));
        }
        Ok(found)
    }
}

/// `L12`, or that of the handoff `L12-1`; also in lower case.
pub(super) fn link_id(text: &str) -> Option<LinkId> {
    let number = text.strip_prefix(['L', 'l'])?;
    let (link, nth) = number.split_once('-').unwrap_or((number, "1"));
    is_number(nth).then(|| link.parse().ok().map(LinkId))?
}

/// The id in what was pasted: the text itself, or the last part of a page's address that looks like
/// one. (`…/contacts/123456/record/0-1/151/`, `…/lightning/r/Lead/00Q…/view`)
fn record_id(text: &str) -> String {
    let Ok(url) = Url::parse(text) else { return text.to_owned() };
    let parts: Vec<&str> = url.path_segments().map(Iterator::collect).unwrap_or_default();
    parts
        .into_iter()
        .rev()
        .find(|part| SalesforceId::parse(part).is_ok() || is_number(part))
        .unwrap_or(text)
        .to_owned()
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The records of a mapping that what was pasted can mean.
pub(super) fn records_of(mapping: &Mapping, what: &str) -> Vec<RecordRef> {
    records(mapping, &record_id(what.trim()))
}

/// The records of a mapping that an id can mean.
pub(super) fn records(mapping: &Mapping, id: &str) -> Vec<RecordRef> {
    if is_number(id) {
        return vec![RecordRef::hubspot(&mapping.sides.hubspot.object, id)];
    }
    let Ok(id) = SalesforceId::parse(id) else { return Vec::new() };
    let spec = &mapping.sides.salesforce;
    let objects = std::iter::once(&spec.object).chain(&spec.becomes);
    // A custom object's prefix is not known here, so that it is tried as well.
    objects
        .filter(|object| object_of_prefix(id.prefix()).is_none_or(|known| known == object.as_str()))
        .map(|object| RecordRef::salesforce(object, id.as_str()))
        .collect()
}

/// What was pasted as the mapping's matching keys have it.
fn keys(mapping: &Mapping, text: &str) -> BTreeSet<String> {
    mapping
        .matching
        .iter()
        .filter_map(|key| {
            let text = Value::text(text);
            let value = key.normalise.iter().try_fold(text, |value, step| step.read(value)).ok()?;
            (!value.is_blank()).then(|| value.to_string())
        })
        .collect()
}
