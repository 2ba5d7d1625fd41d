//! Enrolment in a sequence: once, in the owner's name, and looked for before it is repeated.

use super::next::{lines, previewed, qualified_after, with, without_task};
use super::*;
use crate::handoff::Progress;
use crate::mapping::handoff::NextStep;
use crate::sandbox::fault::Side as Platforms;
use crate::sandbox::hubspot::oauth::{PRIVATE_TOKEN, SCOPES};
use crate::sandbox::hubspot::sequences::Enrolment;

const SEQUENCE: &str = "[handoff.sequence]\nid = \"4711\"\n";

/// A contact who has qualified and is in Salesforce, in an account with two sequences.
async fn qualified(mappings: Mappings) -> (Sandbox, Engine, u64) {
    qualified_after(mappings, |sandbox| {
        let hubspot = &mut sandbox.world().hubspot;
        hubspot.add_sequence(4_711, "Welcome");
        hubspot.add_sequence(4_712, "Come back");
    })
    .await
}

fn enrolled(sandbox: &Sandbox, person: u64) -> Vec<Enrolment> {
    sandbox.world().hubspot.sequences.enrolled.get(&person).cloned().unwrap_or_default()
}

fn failed(handoff: &Handoff) -> String {
    match handoff.step(NextStep::Sequence) {
        Progress::Failed(reason) => reason.to_owned(),
        other => panic!("{other:?}"),
    }
}

fn done(handoff: &Handoff) -> bool {
    matches!(handoff.step(NextStep::Sequence), Progress::Done(_))
}

#[tokio::test(start_paused = true)]
async fn a_contact_is_enrolled_once_in_the_name_of_the_owner() {
    let (sandbox, engine, person) = qualified(with(SEQUENCE)).await;
    let worked = engine.hand_off_all().await.unwrap();
    assert_eq!((worked.tasks, worked.next, worked.found), (1, 1, 0), "{worked:?}");
    let handoff = only(&engine).await;
    let amara = handoff.owner().unwrap().name.clone();
    let all = enrolled(&sandbox, person);
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].sequence, all[0].user), (4_711, 51_009));
    assert_eq!(all[0].sender, amara);
    let line = "The enrolment in the HubSpot sequence 4711 was made.";
    assert!(lines(&handoff).contains(line), "{}", lines(&handoff));
    for _ in 0..3 {
        wait(600).await;
        assert_eq!(round(&engine).await.next, 0);
    }
    // It ended long ago: that is no reason to begin it again.
    let now = sandbox.clock().now();
    sandbox.world().hubspot.end_sequence(person, now);
    wait(600).await;
    round(&engine).await;
    assert_eq!(enrolled(&sandbox, person).len(), 1);
    let shown = previewed(&engine, person).await.unwrap();
    let planned = format!("enrolment in the HubSpot sequence 4711 (sender {amara}): -, due -");
    assert!(shown.ends_with(&planned), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_is_named_sends_for_every_owner() {
    let named = format!("{SEQUENCE}sender = \"Tom.Okafor@example.com\"\n");
    let (sandbox, engine, person) = qualified(without_task(&named)).await;
    engine.hand_off_all().await.unwrap();
    let all = enrolled(&sandbox, person);
    assert_eq!((all[0].user, all[0].sender.as_str()), (51_002, "tom.okafor@example.com"));
}

#[tokio::test(start_paused = true)]
async fn an_enrolment_whose_answer_was_lost_is_found_and_not_repeated() {
    for (fault, made) in [
        ("timeout-after", 1),
        ("hang-after", 1),
        ("cut-after", 1),
        ("empty-body", 1),
        ("hang-before", 0),
        ("server-error", 0),
        ("html", 0),
    ] {
        // It may have ended by the time that it is looked for.
        for (ends, over) in [(false, false), (false, true), (true, false), (true, true)] {
            if ends && !fault.starts_with("hang") {
                continue;
            }
            let (sandbox, engine, person) = qualified(without_task(SEQUENCE)).await;
            struck(&sandbox, fault, Platforms::HubSpot);
            if ends {
                let killed = tokio::time::timeout(Duration::from_secs(1), engine.hand_off_due());
                assert!(killed.await.is_err(), "{fault}");
            } else {
                let worked = engine.hand_off_due().await.unwrap();
                assert_eq!((worked.taken, worked.next), (1, 0), "{fault}");
            }
            sandbox.world().faults.disarm_all();
            assert_eq!(enrolled(&sandbox, person).len(), made, "{fault}");
            let handoff = only(&engine).await;
            assert!(lines(&handoff).contains("it is looked for"), "{fault}");
            if over {
                let now = sandbox.clock().now();
                sandbox.world().hubspot.end_sequence(person, now);
            }
            wait(60).await;
            let worked = round(&engine).await;
            assert_eq!((worked.next, worked.found), (1 - made, made), "{fault}: {worked:?}");
            assert!(done(&only(&engine).await), "{fault}");
            wait(600).await;
            round(&engine).await;
            assert_eq!(enrolled(&sandbox, person).len(), 1, "{fault} {ends} {over}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_in_the_sequence_already_stays_in_it() {
    let (sandbox, engine, person) = qualified(without_task(SEQUENCE)).await;
    let before = Enrolment {
        id: 1,
        sequence: 4_711,
        user: 51_001,
        sender: "maya.keller@example.com".to_owned(),
        at: sandbox.clock().now(),
        active: true,
    };
    sandbox.world().hubspot.sequences.enrolled.insert(person, vec![before]);
    wait(86_400).await;
    engine.hand_off_all().await.unwrap();
    let handoff = only(&engine).await;
    assert!(lines(&handoff).contains("sequence 4711 was there already."), "{}", lines(&handoff));
    assert_eq!(enrolled(&sandbox, person).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_hubspot_refuses_says_why_and_what_to_do_and_keeps_nothing_back() {
    type Spoil = fn(&Sandbox, u64);
    let cases: [(&str, Spoil, &str); 6] = [
        (
            "another sequence",
            |sandbox, person| {
                let other = Enrolment {
                    id: 1,
                    sequence: 4_712,
                    user: 51_001,
                    sender: "maya.keller@example.com".to_owned(),
                    at: sandbox.clock().now(),
                    active: true,
                };
                sandbox.world().hubspot.sequences.enrolled.insert(person, vec![other]);
            },
            "4711: ALREADY_ENROLLED: ",
        ),
        (
            "unsubscribed",
            |sandbox, person| {
                let now = sandbox.clock().now();
                sandbox.world().hubspot.unsubscribe(person, now);
            },
            "4711: UNSUBSCRIBED: ",
        ),
        (
            "no inbox",
            |sandbox, _| {
                sandbox.world().hubspot.sequences.unconnected.insert(51_009);
            },
            "4711: INBOX_NOT_CONNECTED: ",
        ),
        (
            "the day's limit",
            |sandbox, _| sandbox.world().hubspot.sequences.daily = Some(0),
            "4711: DAILY_LIMIT: ",
        ),
        (
            "no sequence",
            |sandbox, _| sandbox.world().hubspot.sequences.known.clear(),
            "4711: OBJECT_NOT_FOUND: ",
        ),
        (
            "no scope",
            |sandbox, _| {
                let kept = SCOPES.into_iter().filter(|it| !it.starts_with("automation."));
                let scopes: Vec<&str> = kept.collect();
                sandbox.world().hubspot.auth.restrict(PRIVATE_TOKEN, &scopes);
            },
            "4711: MISSING_SCOPES: ",
        ),
    ];
    for (case, spoil, code) in cases {
        let (sandbox, engine, person) = qualified(with(SEQUENCE)).await;
        let before = enrolled(&sandbox, person).len();
        spoil(&sandbox, person);
        let worked = engine.hand_off_all().await;
        let handoff = only(&engine).await;
        assert_eq!(handoff.facts.of(FactKind::Tasked).count(), 1, "{case}: {worked:?}");
        let reason = failed(&handoff);
        assert!(reason.starts_with(code), "{case}: {reason}");
        assert!(reason.contains(&format!(", for contacts {person}; ")), "{case}: {reason}");
        assert!(lines(&handoff).contains("could not be made: 4711: "), "{case}");
        assert!(
            enrolled(&sandbox, person).iter().all(|it| it.sequence != 4_711),
            "{case} {before}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_owner_who_cannot_send_is_named_and_nothing_is_held_back() {
    type Spoil = fn(&Sandbox);
    let cases: [(&str, Spoil, &str); 3] = [
        (
            "a queue",
            |sandbox| {
                let mut world = sandbox.world();
                world.salesforce.rules.lead_assignment = Some(world.salesforce.staff.queue.clone());
            },
            "the queue \"Inbound leads\" owns it, and a queue sends nothing",
        ),
        (
            "nobody of HubSpot's",
            |sandbox| {
                let mut world = sandbox.world();
                world.salesforce.rules.lead_assignment =
                    Some(world.salesforce.staff.sales[2].clone());
            },
            "HubSpot has no active user with the address of the owner",
        ),
        (
            "somebody who left HubSpot",
            |sandbox| {
                let now = sandbox.clock().now();
                assert!(sandbox.world().hubspot.archive_owner("301009", now));
            },
            "HubSpot has no active user with the address of the owner",
        ),
    ];
    for (case, spoil, expected) in cases {
        let (sandbox, engine) = start_on(with(SEQUENCE), Options::default());
        {
            let mut world = sandbox.world();
            world.hubspot.add_sequence(4_711, "Welcome");
            let amara = world.salesforce.staff.sales[0].clone();
            let email = world.salesforce.record(&amara).unwrap().text("Email").unwrap().to_owned();
            world.salesforce.rules.lead_assignment = Some(amara);
            let now = sandbox.clock().now();
            let owner = crate::sandbox::hubspot::owners::Owner::person(
                301_009,
                51_009,
                &email,
                ("Amara", "Nwosu"),
                now,
            );
            world.hubspot.add_owner(owner);
        }
        spoil(&sandbox);
        engine.start().await.unwrap();
        round(&engine).await;
        let person = contact(&sandbox, "ada@example.com", &[]);
        wait(30).await;
        round(&engine).await;
        let reason = failed(&only(&engine).await);
        assert!(reason.starts_with(expected), "{case}: {reason}");
        assert!(reason.contains("[handoff.sequence]"), "{case}: {reason}");
        assert!(enrolled(&sandbox, person).is_empty(), "{case}");
        assert_eq!(tasks(&sandbox).len(), 1, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handoff_that_ended_before_the_enrolment_says_so() {
    let (sandbox, engine, person) = qualified(without_task(SEQUENCE)).await;
    struck(&sandbox, "hang-before", Platforms::HubSpot);
    engine.hand_off_due().await.unwrap();
    sandbox.world().faults.disarm_all();
    let user = sandbox.world().salesforce.staff.sales[0].clone();
    let lead = lead(&sandbox);
    let now = sandbox.clock().now();
    let closed = map(json!({"Status": "Closed - Not Converted"}));
    sandbox.world().salesforce.person_edits(now, &user, &lead, &closed).unwrap();
    pass(&engine).await;
    wait(60).await;
    round(&engine).await;
    let handoff = only(&engine).await;
    assert_eq!(handoff.state(), State::Returned);
    assert_eq!(failed(&handoff), "the handoff ended before it was started");
    assert!(enrolled(&sandbox, person).is_empty());
}
