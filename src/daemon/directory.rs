//! Who owns what, and which records are linked, as a snapshot for one batch.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::mapping::{Directory, OwnerFound, OwnerMissing};
use crate::platform::Owner;
use crate::record::{LinkId, PerSide, Side};

/// The people and queues of both sides.
#[derive(Debug, Default)]
pub struct Owners {
    by_id: PerSide<BTreeMap<String, Owner>>,
    by_email: PerSide<BTreeMap<String, String>>,
}

impl Owners {
    /// Takes in what both platforms list. Where several have one address, an active one stands for
    /// it.
    #[must_use]
    pub fn new(listed: PerSide<Vec<Owner>>) -> Self {
        let mut owners = Self::default();
        let PerSide { hubspot, salesforce } = listed;
        for (side, listed) in [(Side::HubSpot, hubspot), (Side::Salesforce, salesforce)] {
            for owner in listed {
                if let Some(email) = owner.email.clone().filter(|_| !owner.queue) {
                    let known = owners.by_email.get(side).get(&email);
                    let better = known.is_none_or(|id| {
                        !owners.by_id.get(side).get(id).is_some_and(|known| known.active)
                    });
                    if better {
                        owners.by_email.get_mut(side).insert(email, owner.id.clone());
                    }
                }
                owners.by_id.get_mut(side).insert(owner.id.clone(), owner);
            }
        }
        owners
    }

    /// The id of the active person with this address.
    #[must_use]
    pub fn active_id(&self, side: Side, email: &str) -> Option<String> {
        let id = self.by_email.get(side).get(email)?;
        self.get(side, id).filter(|owner| owner.active).map(|owner| owner.id.clone())
    }

    /// The id of the queue with this name.
    #[must_use]
    pub fn queue_id(&self, side: Side, name: &str) -> Option<String> {
        let queue =
            self.by_id.get(side).values().find(|owner| owner.queue && owner.name == name)?;
        Some(queue.id.clone())
    }

    /// The owner with this id.
    #[must_use]
    pub fn get(&self, side: Side, id: &str) -> Option<&Owner> {
        self.by_id.get(side).get(id)
    }
}

/// A snapshot for one batch: all owners, and those links that the batch's records point to.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The owners.
    pub owners: Arc<Owners>,
    links: BTreeMap<(String, Side, String), LinkId>,
    ids: BTreeMap<(String, Side, LinkId), String>,
}

impl Snapshot {
    /// A snapshot that knows the owners and no link yet.
    #[must_use]
    pub const fn new(owners: Arc<Owners>) -> Self {
        Self { owners, links: BTreeMap::new(), ids: BTreeMap::new() }
    }

    /// Adds a link of `mapping` with its ids.
    pub fn add_link(&mut self, mapping: &str, link: LinkId, ids: &PerSide<Option<String>>) {
        for (side, id) in ids.iter() {
            let Some(id) = id else { continue };
            self.links.insert((mapping.to_owned(), side, id.clone()), link);
            self.ids.insert((mapping.to_owned(), side, link), id.clone());
        }
    }
}

impl Directory for Snapshot {
    fn owner(&self, side: Side, id: &str) -> OwnerFound {
        match self.owners.get(side, id) {
            None => OwnerFound::Unknown,
            Some(owner) if owner.queue => OwnerFound::Queue(owner.name.clone()),
            Some(Owner { email: Some(email), .. }) => OwnerFound::Person(email.clone()),
            Some(_) => OwnerFound::Unknown,
        }
    }

    fn owner_id(&self, side: Side, email: &str) -> Result<String, OwnerMissing> {
        let id = self.owners.by_email.get(side).get(email).ok_or(OwnerMissing::Unknown)?;
        match self.owners.get(side, id) {
            Some(owner) if owner.active => Ok(id.clone()),
            _ => Err(OwnerMissing::Inactive),
        }
    }

    fn link_of(&self, mapping: &str, side: Side, id: &str) -> Option<LinkId> {
        self.links.get(&(mapping.to_owned(), side, id.to_owned())).copied()
    }

    fn linked_id(&self, mapping: &str, side: Side, link: LinkId) -> Option<String> {
        self.ids.get(&(mapping.to_owned(), side, link)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(id: &str, email: Option<&str>, active: bool, queue: bool) -> Owner {
        Owner {
            id: id.into(),
            email: email.map(Into::into),
            name: id.into(),
            active,
            queue,
            user: None,
        }
    }

    #[test]
    fn an_active_person_stands_for_a_shared_address() {
        let listed = PerSide {
            hubspot: vec![],
            salesforce: vec![
                owner("005A", Some("ann@example.com"), false, false),
                owner("005B", Some("ann@example.com"), true, false),
                owner("005C", Some("bob@example.com"), false, false),
                owner("00GQ", None, true, true),
            ],
        };
        let snapshot = Snapshot::new(Arc::new(Owners::new(listed)));
        let id = |email| snapshot.owner_id(Side::Salesforce, email);
        assert_eq!(id("ann@example.com"), Ok("005B".into()));
        assert_eq!(id("bob@example.com"), Err(OwnerMissing::Inactive));
        assert_eq!(id("eve@example.com"), Err(OwnerMissing::Unknown));
        assert_eq!(snapshot.owner(Side::Salesforce, "00GQ"), OwnerFound::Queue("00GQ".into()));
        assert_eq!(snapshot.owner(Side::Salesforce, "005X"), OwnerFound::Unknown);
    }
}
