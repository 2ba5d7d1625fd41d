//! Associations: typed edges between records, kept in both directions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::object::Object;
use super::webhooks::What;
use super::world::Account;
use super::write::{Actor, By, Changes};

/// A record's kind and id.
pub type End = (Object, u64);

/// An edge that began or, with `true`, ended.
type Edge = (End, End, AssociationType, bool);

/// One type of association in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AssociationType {
    /// The kind that it starts from.
    pub from: Object,
    /// The kind that it leads to.
    pub to: Object,
    /// Its id.
    pub id: u32,
    /// The id of the same in the other direction.
    pub reverse: u32,
    /// The label, where it has one.
    pub label: Option<&'static str>,
}

const fn pair(
    (from, to): (Object, Object),
    (id, reverse): (u32, u32),
    label: Option<&'static str>,
) -> [AssociationType; 2] {
    [
        AssociationType { from, to, id, reverse, label },
        AssociationType { from: to, to: from, id: reverse, reverse: id, label },
    ]
}

/// The types that HubSpot defines, from its list of association type ids. The first of each pair
/// of kinds is the one without a label.
const TYPES: [[AssociationType; 2]; 18] = {
    use Object::{Call, Company, Contact, Deal, Email, Note, Task};
    [
        pair((Contact, Company), (279, 280), None),
        pair((Contact, Company), (1, 2), Some("Primary")),
        pair((Contact, Deal), (4, 3), None),
        pair((Deal, Company), (341, 342), None),
        pair((Deal, Company), (5, 6), Some("Primary")),
        pair((Contact, Contact), (449, 449), None),
        pair((Task, Contact), (204, 203), None),
        pair((Task, Company), (192, 191), None),
        pair((Task, Deal), (216, 215), None),
        pair((Note, Contact), (202, 201), None),
        pair((Note, Company), (190, 189), None),
        pair((Note, Deal), (214, 213), None),
        pair((Call, Contact), (194, 193), None),
        pair((Call, Company), (182, 181), None),
        pair((Call, Deal), (206, 205), None),
        pair((Email, Contact), (198, 197), None),
        pair((Email, Company), (186, 185), None),
        pair((Email, Deal), (210, 209), None),
    ]
};

/// The types between two kinds.
pub fn types(from: Object, to: Object) -> impl Iterator<Item = AssociationType> {
    TYPES.into_iter().flatten().filter(move |kind| kind.from == from && kind.to == to)
}

/// The label of a type.
#[must_use]
pub fn label(from: Object, to: Object, id: u32) -> Option<&'static str> {
    types(from, to).find(|kind| kind.id == id).and_then(|kind| kind.label)
}

/// Every association of the account.
#[derive(Debug, Default)]
pub struct Associations {
    edges: BTreeMap<End, BTreeMap<End, BTreeSet<u32>>>,
}

impl Associations {
    /// The records of one kind that a record is associated with, by id.
    #[must_use]
    pub fn of(&self, object: Object, id: u64, to: Object) -> Vec<u64> {
        self.with_types((object, id), to).map(|(id, _)| id).collect()
    }

    /// The same with the ids of the types.
    pub fn with_types(&self, from: End, to: Object) -> impl Iterator<Item = (u64, &BTreeSet<u32>)> {
        self.edges
            .get(&from)
            .into_iter()
            .flat_map(move |edges| edges.range((to, 0)..=(to, u64::MAX)))
            .map(|((_, id), types)| (*id, types))
    }

    fn insert(&mut self, from: End, to: End, kind: AssociationType) -> bool {
        self.edges.entry(to).or_default().entry(from).or_default().insert(kind.reverse);
        self.edges.entry(from).or_default().entry(to).or_default().insert(kind.id)
    }

    fn remove_type(&mut self, from: End, to: End, kind: AssociationType) -> bool {
        let forth = self.remove_one(from, to, kind.id);
        self.remove_one(to, from, kind.reverse) || forth
    }

    fn remove_one(&mut self, from: End, to: End, id: u32) -> bool {
        let Some(edges) = self.edges.get_mut(&from) else { return false };
        let Some(types) = edges.get_mut(&to) else { return false };
        let removed = types.remove(&id);
        if types.is_empty() {
            edges.remove(&to);
        }
        removed
    }

    fn remove(&mut self, from: End, to: End) -> BTreeSet<u32> {
        let removed = self.edges.get_mut(&from).and_then(|edges| edges.remove(&to));
        if let Some(edges) = self.edges.get_mut(&to) {
            edges.remove(&from);
        }
        removed.unwrap_or_default()
    }

    /// Takes all edges of a record away and returns them.
    pub(super) fn take(&mut self, end: End) -> BTreeMap<End, BTreeSet<u32>> {
        let edges = self.edges.remove(&end).unwrap_or_default();
        for to in edges.keys() {
            if let Some(back) = self.edges.get_mut(to) {
                back.remove(&end);
            }
        }
        edges
    }
}

impl Account {
    /// Associates two live records by a type, or without a label. The first company of a contact
    /// or deal becomes the primary one, and a new primary one replaces the old. Returns the labels,
    /// or nothing where the type does not exist between these kinds.
    pub(super) fn associate(
        &mut self,
        from: End,
        to: End,
        type_id: Option<u32>,
        by: &By,
    ) -> Option<Vec<&'static str>> {
        let plain = types(from.0, to.0).find(|kind| kind.label.is_none())?;
        let kind = match type_id {
            Some(id) => types(from.0, to.0).find(|kind| kind.id == id)?,
            None => plain,
        };
        let fresh_deal = from.0 == Object::Deal || to.0 == Object::Deal;
        let known = self.associations.with_types(from, to.0).any(|(id, _)| id == to.1);
        let mut told: Vec<Edge> = Vec::new();
        if self.associations.insert(from, to, plain) {
            told.push((from, to, plain, false));
        }
        let primary = types(from.0, to.0).find(|kind| kind.label == Some("Primary"));
        if let Some(primary) = primary {
            // The end that has one primary company.
            let (owner, company, of_owner) = if to.0 == Object::Company {
                (from, to, primary.id)
            } else {
                (to, from, primary.reverse)
            };
            let current = self.primary_of(owner, of_owner);
            if current.is_none() || kind.label.is_some() {
                let there = types(owner.0, Object::Company).find(|kind| kind.id == of_owner)?;
                if let Some(old) = current {
                    let old = (Object::Company, old);
                    if old != company && self.associations.remove_type(owner, old, there) {
                        told.push((owner, old, there, true));
                    }
                }
                if self.associations.insert(owner, company, there) {
                    told.push((owner, company, there, false));
                }
            }
        }
        self.tell_edges(&told, by);
        self.recount(from, to, by);
        if fresh_deal && !known && self.settings.deals_move_stage {
            let deal = if from.0 == Object::Deal { from.1 } else { to.1 };
            self.move_around_deal(deal, "opportunity", by);
        }
        Some(kind.label.into_iter().collect())
    }

    /// Ends every association of two records, or one type of it, and says whether there was one.
    pub(super) fn dissociate(&mut self, from: End, to: End, type_id: Option<u32>, by: &By) -> bool {
        let kind = type_id.and_then(|id| types(from.0, to.0).find(|kind| kind.id == id));
        let removed: Vec<AssociationType> = match (type_id, kind) {
            (None, _) => {
                let gone = self.associations.remove(from, to);
                types(from.0, to.0).filter(|kind| gone.contains(&kind.id)).collect()
            }
            (Some(_), Some(kind)) => {
                let gone = self.associations.remove_type(from, to, kind);
                gone.then_some(kind).into_iter().collect()
            }
            (Some(_), None) => Vec::new(),
        };
        if removed.is_empty() {
            return false;
        }
        let told: Vec<Edge> = removed.into_iter().map(|kind| (from, to, kind, true)).collect();
        self.tell_edges(&told, by);
        self.recount(from, to, by);
        true
    }

    /// Tells of edges that began or, with `true`, ended: each in both directions.
    fn tell_edges(&mut self, edges: &[Edge], by: &By) {
        for &(from, to, kind, removed) in edges {
            let primary = kind.label == Some("Primary");
            for (from, to, type_id) in [(from, to, kind.id), (to, from, kind.reverse)] {
                self.happened(from, What::Linked { to, type_id, primary, removed }, by);
            }
        }
    }

    /// The primary company of a contact.
    #[must_use]
    pub fn primary_company(&self, contact: u64) -> Option<u64> {
        self.primary_of((Object::Contact, contact), 1)
    }

    fn primary_of(&self, owner: End, type_id: u32) -> Option<u64> {
        self.associations
            .with_types(owner, Object::Company)
            .find(|(_, types)| types.contains(&type_id))
            .map(|(id, _)| id)
    }

    /// Recomputes what both ends say about their associations. The modified stamp stays unless the
    /// account is set otherwise: a poll by that stamp does not see associations.
    fn recount(&mut self, from: End, to: End, by: &By) {
        let by = By {
            actor: Actor::Platform,
            source: super::record::Source::platform("CALCULATED"),
            ..by.clone()
        };
        let bump = self.settings.rollups_bump;
        for (object, id) in [from, to] {
            let count = |to: Object| self.associations.of(object, id, to).len();
            let changes: Changes = match object {
                Object::Contact => {
                    let company = self.primary_company(id).map(|id| id.to_string());
                    vec![
                        ("associatedcompanyid".into(), company.unwrap_or_default()),
                        ("num_associated_deals".into(), rollup(count(Object::Deal))),
                    ]
                }
                Object::Company => vec![
                    ("num_associated_contacts".into(), rollup(count(Object::Contact))),
                    ("num_associated_deals".into(), rollup(count(Object::Deal))),
                ],
                Object::Deal => {
                    vec![("num_associated_contacts".into(), rollup(count(Object::Contact)))]
                }
                Object::Task | Object::Note | Object::Call | Object::Email => continue,
            };
            let changes: Vec<(Arc<str>, String)> = changes;
            self.store(object, id, &changes, &by, bump);
        }
    }
}

fn rollup(count: usize) -> String {
    if count == 0 { String::new() } else { count.to_string() }
}
