//! What holds after any sequence of actions.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// One action on contacts; numbers pick among the ids that were ever given out.
#[derive(Debug, Clone)]
enum Action {
    Create { address: u8 },
    Address { at: usize, address: u8 },
    Stage { at: usize, stage: usize },
    Archive { at: usize },
    Restore { at: usize },
    Merge { at: usize, other: usize },
    Wait { seconds: i64 },
}

fn action() -> impl Strategy<Value = Action> {
    let at = 0..40usize;
    prop_oneof![
        4 => (0..30u8).prop_map(|address| Action::Create { address }),
        3 => (at.clone(), 0..30u8).prop_map(|(at, address)| Action::Address { at, address }),
        2 => (at.clone(), 0..8usize).prop_map(|(at, stage)| Action::Stage { at, stage }),
        1 => at.clone().prop_map(|at| Action::Archive { at }),
        1 => at.clone().prop_map(|at| Action::Restore { at }),
        1 => (at.clone(), at).prop_map(|(at, other)| Action::Merge { at, other }),
        2 => (0..12i64).prop_map(|seconds| Action::Wait { seconds }),
    ]
}

/// Does one action. Most may be refused; what matters is what holds afterwards.
fn act(account: &mut Account, ids: &mut Vec<u64>, action: &Action, now: &mut Timestamp) {
    let contact = Object::Contact;
    let address = |n: &u8| format!("c{n}@example.com");
    let pick = |at: &usize| ids.get(at % ids.len().max(1)).copied().unwrap_or(1);
    match action {
        Action::Create { address: n } => {
            let email = address(n);
            ids.extend(account.create_as_user(contact, &[("email", &email)], 1, *now));
        }
        Action::Address { at, address: n } => {
            let _ = account.edit_as_user(contact, pick(at), &[("email", &address(n))], 1, *now);
        }
        Action::Stage { at, stage } => {
            let by = write::By::app(oauth::PRIVATE_APP, *now);
            let stage = standard::LIFECYCLE[*stage].0.to_owned();
            let _ = account.update(contact, pick(at), &[("lifecyclestage".into(), stage)], &by);
        }
        Action::Archive { at } => drop(account.archive(contact, pick(at), 1, *now)),
        Action::Restore { at } => drop(account.restore(contact, pick(at), 1, *now)),
        Action::Merge { at, other } => {
            let (primary, other) = (pick(at), pick(other));
            ids.extend(account.merge_as_user(contact, primary, other, 1, *now));
        }
        Action::Wait { seconds } => *now += SignedDuration::from_secs(*seconds),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn look_ups_aliases_and_search_agree_with_the_records(
        actions in prop::collection::vec(action(), 1..80),
        varies in any::<bool>(),
    ) {
        let mut now: Timestamp = "2026-11-02T08:00:00Z".parse().unwrap();
        let mut account = Account::fresh(now);
        account.settings.search_lag_varies = varies;
        let (mut ids, mut furthest) = (Vec::new(), BTreeMap::new());
        for action in &actions {
            act(&mut account, &mut ids, action, &mut now);
            let stages = account.property(Object::Contact, "lifecyclestage").unwrap();
            for record in account.all(Object::Contact) {
                let rank = record.stored("lifecyclestage").and_then(|stage| stages.rank(stage));
                let before = furthest.insert(record.id, rank);
                prop_assert!(before.is_none_or(|before| before <= rank), "a stage went back");
            }
        }
        // Each address, secondary ones included, leads to its one live record.
        let mut addresses = BTreeMap::new();
        for record in account.all(Object::Contact) {
            for name in ["email", "hs_additional_emails"] {
                for address in record.stored(name).into_iter().flat_map(|all| all.split(';')) {
                    prop_assert_eq!(addresses.insert(address.to_owned(), record.id), None);
                    let found = account.find_by_email(address).map(|found| found.id);
                    prop_assert_eq!(found, Some(record.id), "{}", address);
                }
            }
        }
        // Every id ever given out still leads to a record.
        for id in &ids {
            let survivor = account.table(Object::Contact).survivor(*id);
            prop_assert!(account.table(Object::Contact).records.contains_key(&survivor));
        }
        // After the lag, search sees exactly the live records.
        now += SignedDuration::from_secs(10);
        prop_assert_eq!(account.unsearchable(Object::Contact, now), 0);
        let seen = account.table(Object::Contact).index.visible().len();
        prop_assert_eq!(seen, account.all(Object::Contact).count());
    }
}
