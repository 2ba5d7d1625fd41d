//! The task that a queue owns, beside the owner's or instead of it.

use super::next::{lines, previewed, qualified, qualified_after, with, without_task};
use super::*;
use crate::handoff::Progress;
use crate::mapping::handoff::NextStep;
use crate::sandbox::fault::Side::Salesforce;

const CALLS: &str = "[handoff.queue_task]\nqueue = \"Calls\"\nsubject = \"Ring {{ last_name }}\"\n\
                     type = \"Call\"\ndue = \"1h\"\n";

/// The same for a mapping without `[handoff.task]`.
fn alone() -> Mappings {
    without_task(&format!("{CALLS}text = \"Now.\"\n"))
}

/// A queue that owns records of these objects, with Jonas in it.
fn add_queue(sandbox: &Sandbox, supports: &[&str]) -> Id {
    let now = sandbox.clock().now();
    let org = &mut sandbox.world().salesforce;
    let jonas = org.staff.sales[1].clone();
    org.seed_queue(now, None, "Calls", supports, &[jonas])
}

/// A person who is about to get their tasks, and the queue.
async fn waiting(mappings: Mappings, supports: &[&str]) -> (Sandbox, Engine, Id) {
    let mut id = None;
    let (sandbox, engine, _) =
        qualified_after(mappings, |sandbox| id = Some(add_queue(sandbox, supports))).await;
    (sandbox, engine, id.unwrap())
}

fn task_of(handoff: &Handoff) -> RecordRef {
    match handoff.step(NextStep::QueueTask) {
        Progress::Done(task) => task.clone(),
        other => panic!("{other:?}"),
    }
}

/// The owner's id of a task.
fn owner_of(sandbox: &Sandbox, task: &RecordRef) -> String {
    let world = sandbox.world();
    world.salesforce.record(&task.id).unwrap().text("OwnerId").unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_queue_gets_a_task_of_its_own_once() {
    let (sandbox, engine, queue) = waiting(with(CALLS), &["Lead", "Task"]).await;
    let worked = engine.hand_off_all().await.unwrap();
    assert_eq!((worked.tasks, worked.next, worked.found), (1, 1, 0), "{worked:?}");
    let handoff = only(&engine).await;
    let own = task_of(&handoff);
    assert_ne!(handoff.task(), Some(&own));
    {
        let world = sandbox.world();
        let task = world.salesforce.record(&own.id).unwrap();
        let text = |name| task.text(name).unwrap_or_default();
        assert_eq!(text("OwnerId"), &*queue);
        assert_eq!((text("Subject"), text("Type")), ("Ring King", "Call"));
        assert_eq!((text("Priority"), text("Status")), ("Normal", "Not Started"), "as the owner's");
        assert_eq!(text("ActivityDate"), "2026-11-02");
        assert_eq!(Some(text("WhoId")), handoff.record().map(|record| record.id.as_str()));
        let said = text("Description");
        assert!(said.starts_with("Ada King qualified because the score reached 50."), "{said}");
        assert!(said.ends_with(&format!(" {} queue]", handoff.id)), "{said}");
    }
    let amara = sandbox.world().salesforce.staff.sales[0].clone();
    assert_eq!(owner_of(&sandbox, handoff.task().unwrap()), *amara);
    assert!(lines(&handoff).contains(&format!("The queue's task {} was made.", own.id)));
    for _ in 0..3 {
        wait(120).await;
        round(&engine).await;
    }
    assert_eq!(tasks(&sandbox).len(), 2);

    // A queue that is younger than the list of owners that the service has.
    let (sandbox, engine, _) = qualified(alone()).await;
    let queue = add_queue(&sandbox, &["Task"]);
    let worked = round(&engine).await;
    assert_eq!((worked.tasks, worked.next), (0, 1), "{worked:?}");
    let made = tasks(&sandbox);
    assert_eq!((made.len(), &*made[0].2), (1, &*queue));
}

#[tokio::test(start_paused = true)]
async fn the_preview_shows_the_queues_task_with_its_own_mark() {
    let (_, engine, person) = qualified(with(CALLS)).await;
    insta::assert_snapshot!(previewed(&engine, person).await.unwrap(), @r"
    Salesforce task (priority Normal): Qualified: Ada King, Engines, due 2026-11-02T13:00:00Z
    Salesforce task of the queue Calls (priority Normal, type Call): Ring King, due 2026-11-02T10:00:00Z
    ");
}

/// Both tasks take effect and no answer comes: each is found as what it is.
#[tokio::test(start_paused = true)]
async fn a_queues_task_whose_answer_was_lost_is_found_and_never_taken_for_the_owners() {
    for fault in ["timeout-after", "hang-after", "cut-after", "empty-body"] {
        let (sandbox, engine, queue) = waiting(with(CALLS), &["Task"]).await;
        sandbox.world().faults.arm(fault, Some(Salesforce), Strike::Next(2)).unwrap();
        let worked = engine.hand_off_due().await.unwrap();
        assert_eq!((worked.tasks, worked.next), (0, 0), "{fault}");
        sandbox.world().faults.disarm_all();
        assert_eq!(tasks(&sandbox).len(), 2, "{fault}: both took effect");
        wait(60).await;
        let worked = round(&engine).await;
        assert_eq!((worked.tasks, worked.next, worked.found), (0, 0, 2), "{fault}: {worked:?}");
        let handoff = only(&engine).await;
        assert_eq!(owner_of(&sandbox, &task_of(&handoff)), *queue, "{fault}");
        assert_ne!(handoff.task(), Some(&task_of(&handoff)), "{fault}");
        assert_eq!(tasks(&sandbox).len(), 2, "{fault}");
    }
}

/// A task with the owner's mark stands there, and the queue's had no effect: it is made, and the other
/// is not taken for it.
#[tokio::test(start_paused = true)]
async fn a_queues_task_that_had_no_effect_is_made_once_it_can_be() {
    for fault in ["unavailable", "hang-before"] {
        let (sandbox, engine, queue) = waiting(alone(), &["Task"]).await;
        let (id, now, lead) = (only(&engine).await.id, sandbox.clock().now(), lead(&sandbox));
        let account = sandbox.world().salesforce.id.to_string();
        let text = format!("Ring.\n\n[Lockstep {account} {id}]");
        let other = json!({"WhoId": &*lead, "Subject": "Ring", "Description": text});
        sandbox.world().salesforce.seed(now, "Task", None, other);
        struck(&sandbox, fault, Salesforce);
        engine.hand_off_due().await.unwrap();
        sandbox.world().faults.disarm_all();
        wait(60).await;
        let worked = round(&engine).await;
        assert_eq!(worked.found, 0, "{fault}: {worked:?}");
        assert_eq!(owner_of(&sandbox, &task_of(&only(&engine).await)), *queue, "{fault}");
        assert_eq!(tasks(&sandbox).len(), 2, "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_may_not_own_tasks_gets_none_and_nobody_else_does() {
    let (sandbox, engine, _) = waiting(with(CALLS), &["Lead"]).await;
    let worked = engine.hand_off_all().await.unwrap();
    assert_eq!((worked.tasks, worked.next), (1, 0), "{worked:?}");
    let handoff = only(&engine).await;
    let Progress::Failed(reason) = handoff.step(NextStep::QueueTask) else {
        panic!("{handoff:#?}")
    };
    assert!(
        reason.starts_with(
            "INVALID_OPERATION: Queue not associated with this SObject type, for Lead 00Q"
        ) && reason
            .ends_with("; let the queue own tasks in Setup, Queues, Supported Objects, Task"),
        "{reason}"
    );
    assert_eq!(tasks(&sandbox).len(), 1, "the owner's");
    wait(3_600).await;
    assert_eq!(round(&engine).await.next, 0);

    let nowhere = CALLS.replace("\"Calls\"", "\"Callbacks\"");
    let (sandbox, engine, _) = waiting(with(&nowhere), &["Task"]).await;
    engine.hand_off_all().await.unwrap();
    let handoff = only(&engine).await;
    let Progress::Failed(reason) = handoff.step(NextStep::QueueTask) else {
        panic!("{handoff:#?}")
    };
    assert!(reason.starts_with("Salesforce has no queue called \"Callbacks\""), "{reason}");
    assert_eq!(tasks(&sandbox).len(), 1);
}

/// The record's owner is a queue for leads only: the owner's task is made without an owner.
#[tokio::test(start_paused = true)]
async fn the_owners_task_of_a_queue_for_leads_belongs_to_whoever_is_signed_in() {
    let (sandbox, engine) = start_on(people(|text| text), Options::default());
    let queue = sandbox.world().salesforce.staff.queue.clone();
    sandbox.world().salesforce.rules.lead_assignment = Some(queue);
    engine.start().await.unwrap();
    contact(&sandbox, "ada@example.com", &[]);
    wait(30).await;
    round(&engine).await;
    assert_eq!(only(&engine).await.owner(), Some(&Owner::queue("Inbound leads")));
    let made = tasks(&sandbox);
    assert_eq!((made.len(), &*made[0].2), (1, &*sandbox.world().salesforce.staff.integration));
}

#[tokio::test(start_paused = true)]
async fn whoever_of_the_queue_completes_its_task_has_touched_it() {
    for (takes, completes, touched) in [
        (true, "Jonas Lindqvist", true),
        (false, "Jonas Lindqvist", true),
        (false, "Integration User", false),
    ] {
        let (sandbox, engine, _) = waiting(alone(), &["Task"]).await;
        round(&engine).await;
        let task = task_of(&only(&engine).await).id;
        let now = sandbox.clock().now();
        let who = {
            let org = &mut sandbox.world().salesforce;
            let jonas = org.staff.sales[1].clone();
            let who = org.staff_named(completes).unwrap();
            if takes {
                org.take_from_queue(now, &jonas, &task).unwrap();
            }
            org.complete_task(now, &who, &task).unwrap();
            org.record(&who).unwrap().text("Email").unwrap().to_lowercase()
        };
        wait(60).await;
        round(&engine).await;
        let handoff = only(&engine).await;
        let by = handoff.touched().map(|(_, method, by)| (method, by.unwrap().name.clone()));
        assert_eq!(by, touched.then_some((Touch::Task, who)), "{takes} {completes}");
    }
}
