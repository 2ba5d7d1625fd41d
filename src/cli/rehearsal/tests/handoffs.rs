//! The handoff from one end to the other.

mod next;
mod queue;
mod sequence;
mod start;

use super::*;
use crate::daemon::handoff::Worked;
use crate::handoff::{FactKind, Handoff, How, Owner, State, Touch, story};
use crate::journal::HandoffEntry;
use crate::record::RecordRef;
use crate::sandbox::fault::How as Strike;
use crate::sandbox::salesforce::id::Id;

fn people(change: impl Fn(String) -> String) -> Mappings {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/mappings/people.toml");
    let text = change(std::fs::read_to_string(path).unwrap());
    load(vec![(path.to_owned(), text)]).unwrap_or_else(|report| panic!("{}", report.plain()))
}

fn start_on(mappings: Mappings, options: Options) -> (Sandbox, Engine) {
    let start = "2026-11-02T09:00:00Z".parse().unwrap();
    let sandbox = Sandbox::new(1, SandboxClock::starting_at(start));
    set_up(&sandbox);
    let journal = Journal::inline(MemoryStore::open(&Disk::default()), [7; 32]).unwrap();
    let platforms = in_process(&sandbox, &Clients::default()).unwrap();
    let engine = Engine::new(journal, platforms, mappings, Clock::starting_at(start), options, 1);
    (sandbox, engine)
}

/// A sandbox in which assignment rules give every new lead to Amara.
async fn begin(mappings: Mappings) -> (Sandbox, Engine) {
    let (sandbox, engine) = start_on(mappings, Options::default());
    let amara = sandbox.world().salesforce.staff.sales[0].clone();
    sandbox.world().salesforce.rules.lead_assignment = Some(amara);
    engine.start().await.unwrap();
    round(&engine).await;
    (sandbox, engine)
}

/// One round of all that the daemon does.
async fn round(engine: &Engine) -> Worked {
    pass(engine).await;
    engine.follow_handoffs().await.unwrap();
    engine.hand_off_all().await.unwrap()
}

async fn wait(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn contact(sandbox: &Sandbox, email: &str, more: &[(&str, &str)]) -> u64 {
    let mut values = vec![("email", email), ("firstname", "Ada"), ("lastname", "King")];
    values.extend([("company", "Engines"), ("lifecyclestage", "lead"), ("lead_score", "61")]);
    values.extend_from_slice(more);
    let now = sandbox.clock().now();
    sandbox.world().hubspot.create_as_user(Object::Contact, &values, FIRST_USER, now).unwrap()
}

async fn all(engine: &Engine) -> Vec<HandoffEntry> {
    engine.journal.handoffs(None, 100).await.unwrap()
}

async fn only(engine: &Engine) -> Handoff {
    let mut all = all(engine).await;
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0).handoff
}

/// Each task's id, text and owner.
fn tasks(sandbox: &Sandbox) -> Vec<(Id, String, String)> {
    let world = sandbox.world();
    let mut found = Vec::new();
    for task in world.salesforce.records("Task") {
        let text = |name| task.text(name).unwrap_or_default().to_owned();
        found.push((task.id.clone(), text("Description"), text("OwnerId")));
    }
    found
}

fn lead(sandbox: &Sandbox) -> Id {
    sandbox.world().salesforce.records("Lead").next().unwrap().id.clone()
}

/// Arms a fault that strikes the next call to a platform.
fn struck(sandbox: &Sandbox, fault: &str, side: crate::sandbox::fault::Side) {
    sandbox.world().faults.arm(fault, Some(side), Strike::Next(1)).unwrap();
}

fn told(sandbox: &Sandbox, contact: u64, name: &str) -> String {
    sandbox.world().hubspot.value(Object::Contact, contact, name).unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn a_qualified_contact_is_handed_off_and_won() {
    let (sandbox, engine) = begin(people(|text| text)).await;
    let person = contact(&sandbox, "ada@example.com", &[("jobtitle", "Countess")]);
    wait(30).await;
    let worked = round(&engine).await;
    assert_eq!((worked.tasks, worked.found), (1, 0), "{worked:?}");
    let handoff = only(&engine).await;
    assert_eq!(handoff.state(), State::Assigned);
    assert_eq!(handoff.sent().unwrap().1, How::Created);
    let amara = handoff.owner().unwrap().clone();
    let made = tasks(&sandbox);
    assert_eq!(made.len(), 1);
    assert!(made[0].1.contains("Ada King qualified because the score reached 50."), "{made:?}");
    assert!(made[0].1.contains("Countess, Engines") && made[0].1.contains("Score: 61"));
    assert_eq!(made[0].2, *sandbox.world().salesforce.staff.sales[0]);
    assert_eq!(told(&sandbox, person, "handoff_state"), "assigned");
    assert_eq!(told(&sandbox, person, "handoff_owner"), amara.name);

    // Nothing new: nothing is done.
    wait(120).await;
    let quiet = round(&engine).await;
    assert_eq!((quiet.tasks, quiet.told, quiet.steps), (0, 0, 0));

    let user = sandbox.world().salesforce.staff.sales[0].clone();
    let lead = lead(&sandbox);
    let now = sandbox.clock().now();
    sandbox.world().salesforce.log_call(now, &user, &lead, "Rang").unwrap();
    wait(30).await;
    round(&engine).await;
    let handoff = only(&engine).await;
    assert_eq!(handoff.state(), State::Touched);
    let (_, method, by) = handoff.touched().unwrap();
    assert_eq!((method, by), (Touch::Call, Some(&amara)));

    let now = sandbox.clock().now();
    let converted = {
        let mut world = sandbox.world();
        world.salesforce.convert_lead(now, &user, &lead, &Conversion::default()).unwrap()
    };
    wait(30).await;
    round(&engine).await;
    wait(30).await;
    round(&engine).await;
    let handoff = only(&engine).await;
    let opportunity = converted.opportunity.unwrap();
    let became = RecordRef::salesforce("Opportunity", opportunity.to_string());
    assert_eq!(handoff.state(), State::Accepted);
    assert_eq!(handoff.opportunity(), Some(&became));

    let now = sandbox.clock().now();
    {
        let mut world = sandbox.world();
        let amount = map(json!({"Amount": 1250.5}));
        world.salesforce.person_edits(now, &user, &opportunity, &amount).unwrap();
        world.salesforce.close_opportunity(now, &user, &opportunity, true).unwrap();
    }
    wait(30).await;
    round(&engine).await;
    let handoff = only(&engine).await;
    assert_eq!((handoff.state(), handoff.won_cents()), (State::Won, Some(125_050)));
    assert_eq!(told(&sandbox, person, "handoff_state"), "won");
    assert_eq!(told(&sandbox, person, "handoff_amount"), "1250.50");
    assert_eq!(told(&sandbox, person, "handoff_opportunity"), *opportunity);
    assert_eq!(tasks(&sandbox).len(), 2, "ours and the logged call");
    let lines = story::story(&handoff);
    let of = |words: &str| lines.iter().filter(|line| line.text.contains(words)).count();
    let became = format!("the opportunity is {}", &*opportunity);
    // Who converted it is not known, and that it was is said once.
    assert_eq!((of("It was converted"), of(&became)), (1, 1), "{lines:#?}");
    assert_eq!(of("Sales took it up with a conversion."), 1, "{lines:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_handoff_costs_salesforce_two_writes() {
    let (sandbox, engine) = begin(people(|text| text)).await;
    asked(&sandbox);
    contact(&sandbox, "ada@example.com", &[]);
    wait(30).await;
    round(&engine).await;
    let side = crate::sandbox::fault::Side::Salesforce;
    let writes = sandbox.world().calls.of(side, crate::sandbox::calls::Purpose::Write);
    assert_eq!(writes, 2, "{}", asked(&sandbox).1);
    assert_eq!(tasks(&sandbox).len(), 1);
}

/// The effect happens and the answer never comes, in each of the ways in which that can be: the task
/// is looked for, and not made again.
#[tokio::test(start_paused = true)]
async fn a_task_whose_answer_was_lost_is_found_and_not_repeated() {
    for fault in ["timeout-after", "hang-after", "cut-after", "empty-body"] {
        let (sandbox, engine) = begin(people(|text| text)).await;
        contact(&sandbox, "ada@example.com", &[]);
        wait(30).await;
        pass(&engine).await;
        struck(&sandbox, fault, crate::sandbox::fault::Side::Salesforce);
        let worked = engine.hand_off_due().await.unwrap();
        assert_eq!((worked.taken, worked.tasks), (1, 0), "{fault}");
        sandbox.world().faults.disarm_all();
        assert_eq!(tasks(&sandbox).len(), 1, "{fault}: it took effect");
        let entry = all(&engine).await.remove(0);
        assert!(entry.task_tried && !entry.handoff.facts.has(FactKind::Tasked), "{fault}");
        wait(60).await;
        let worked = round(&engine).await;
        assert_eq!((worked.tasks, worked.found), (0, 1), "{fault}: {worked:?}");
        assert!(only(&engine).await.task().is_some());
        assert_eq!(tasks(&sandbox).len(), 1, "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_had_no_effect_is_made_once_it_can_be() {
    for fault in ["unavailable", "html", "hang-before", "locked"] {
        let (sandbox, engine) = begin(people(|text| text)).await;
        contact(&sandbox, "ada@example.com", &[]);
        wait(30).await;
        pass(&engine).await;
        struck(&sandbox, fault, crate::sandbox::fault::Side::Salesforce);
        engine.hand_off_due().await.unwrap();
        sandbox.world().faults.disarm_all();
        wait(60).await;
        round(&engine).await;
        assert_eq!(tasks(&sandbox).len(), 1, "{fault}");
        assert!(only(&engine).await.task().is_some(), "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_task_says_which_field_for_which_record_and_what_to_do() {
    let (sandbox, engine) = begin(people(|text| text)).await;
    let blocked = crate::sandbox::salesforce::rules::ValidationRule {
        object: "Task".into(),
        field: "Priority".into(),
        forbidden: json!("Normal"),
        message: "nothing is normal here.".into(),
    };
    sandbox.world().salesforce.rules.validation.push(blocked);
    contact(&sandbox, "ada@example.com", &[]);
    wait(30).await;
    assert_eq!(round(&engine).await.tasks, 0);
    let told: Vec<String> =
        story::story(&only(&engine).await).into_iter().map(|line| line.text).collect();
    let wanted = format!(
        "The task could not be made: FIELD_CUSTOM_VALIDATION_EXCEPTION: nothing is normal here (in \
         Priority), for Lead {}; a validation rule of the org refused it: change the value or the \
         rule, then retry the reject.",
        lead(&sandbox)
    );
    assert!(told.contains(&wanted), "{told:#?}");
    assert_eq!(tasks(&sandbox).len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_passes_raises_the_task_once() {
    let (sandbox, engine) = begin(people(|text| text)).await;
    contact(&sandbox, "ada@example.com", &[]);
    wait(30).await;
    round(&engine).await;
    // Monday at nine: four hours of business time are over at one.
    wait(4 * 3_600).await;
    let worked = engine.hand_off_all().await.unwrap();
    assert_eq!(worked.steps, 1, "{worked:?}");
    let (task, _, _) = tasks(&sandbox).remove(0);
    let priority = |sandbox: &Sandbox| {
        let world = sandbox.world();
        let task = world.salesforce.records("Task").find(|it| it.id == task).unwrap();
        task.text("Priority").unwrap().to_owned()
    };
    assert_eq!(priority(&sandbox), "High");
    wait(3_600).await;
    assert_eq!(engine.hand_off_all().await.unwrap().steps, 0);
    // Ten working days later nobody has answered.
    wait(14 * 86_400).await;
    engine.hand_off_all().await.unwrap();
    assert_eq!(only(&engine).await.state(), State::Lapsed);
}

#[tokio::test(start_paused = true)]
async fn a_returned_lead_that_qualifies_again_opens_a_second_handoff() {
    let (sandbox, engine) = begin(people(|text| text)).await;
    let person = contact(&sandbox, "ada@example.com", &[]);
    wait(30).await;
    round(&engine).await;
    let user = sandbox.world().salesforce.staff.sales[0].clone();
    let lead = lead(&sandbox);
    let now = sandbox.clock().now();
    let closed = map(json!({"Status": "Closed - Not Converted"}));
    sandbox.world().salesforce.person_edits(now, &user, &lead, &closed).unwrap();
    wait(30).await;
    round(&engine).await;
    let handoff = only(&engine).await;
    assert_eq!(handoff.state(), State::Returned);
    let why = handoff.why_ended().unwrap();
    assert!(why.contains("sales closed the lead"), "{why}");
    assert_eq!(told(&sandbox, person, "lifecyclestage"), "lead");
    assert_eq!(told(&sandbox, person, "handoff_state"), "returned");
    for score in ["20", "77"] {
        let now = sandbox.clock().now();
        let score = [("lead_score", score)];
        sandbox
            .world()
            .hubspot
            .edit_as_user(Object::Contact, person, &score, FIRST_USER, now)
            .unwrap();
        wait(60).await;
        round(&engine).await;
    }
    let both = all(&engine).await;
    assert_eq!(both.len(), 2);
    assert_eq!(both[1].handoff.id.nth, 2);
    assert_eq!(both[0].handoff.state(), State::Returned);
    assert!(both[1].handoff.state().awaits_answer());
    let made = tasks(&sandbox);
    assert_eq!(made.len(), 2, "one for each");
    assert!(
        made.iter().any(|(_, text, _)| text.contains("Handed over before on 2026-11-02: returned")),
        "{made:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn whoever_is_excluded_is_counted_and_gets_no_task() {
    let students =
        |text: String| text.replacen("email_opt_out == true", "job_title == 'Student'", 1);
    let (sandbox, engine) = begin(people(students)).await;
    contact(&sandbox, "ada@example.com", &[("jobtitle", "Student")]);
    wait(30).await;
    round(&engine).await;
    let handoff = only(&engine).await;
    assert_eq!(handoff.why_ended(), Some("does not want to be contacted"));
    assert_eq!(tasks(&sandbox).len(), 0);
}

#[tokio::test(start_paused = true)]
async fn turns_are_taken_and_the_owner_goes_out_with_the_record() {
    let users = |sandbox: &Sandbox| {
        let world = sandbox.world();
        let staff = world.salesforce.staff.sales.clone();
        let email = |id: &Id| {
            let user = world.salesforce.record(id).unwrap();
            user.text("Email").unwrap().to_lowercase()
        };
        [email(&staff[0]), email(&staff[1])]
    };
    let sample =
        Sandbox::new(1, SandboxClock::starting_at("2026-11-02T09:00:00Z".parse().unwrap()));
    let [amara, jonas] = users(&sample);
    let turns = format!(
        "to = \"turns\"\n[[handoff.assign.member]]\nuser = {amara:?}\nweight = 2\n[[handoff.assign.member]]\nuser = {jonas:?}\n"
    );
    let mappings = people(|text| text.replacen("to = \"rules\"\n", &turns, 1));
    let (sandbox, engine) = start_on(mappings, Options::default());
    engine.start().await.unwrap();
    round(&engine).await;
    for number in 0..6 {
        contact(&sandbox, &format!("p{number}@example.com"), &[]);
        wait(30).await;
        round(&engine).await;
    }
    let owners: Vec<Owner> =
        all(&engine).await.iter().map(|it| it.handoff.owner().unwrap().clone()).collect();
    let count = |email: &String| owners.iter().filter(|it| it.name == *email).count();
    assert_eq!((count(&amara), count(&jonas)), (4, 2), "{owners:?}");
}

#[tokio::test(start_paused = true)]
async fn erasing_a_person_erases_their_handoffs() {
    let (sandbox, engine) = begin(people(|text| text)).await;
    contact(&sandbox, "ada@example.com", &[]);
    wait(30).await;
    round(&engine).await;
    let handoff = only(&engine).await;
    let mut commit = crate::journal::Commit::new();
    commit.purge(handoff.id.link, sandbox.clock().now());
    engine.journal.commit(commit).await.unwrap();
    assert_eq!(all(&engine).await.len(), 0);
    assert_eq!(engine.journal.next_handoff().await.unwrap(), None);
    let task = handoff.task().unwrap().clone();
    assert_eq!(engine.journal.handoffs_with(vec![task]).await.unwrap(), [None]);
    assert!(engine.journal.check().await.unwrap().is_sound());
}

#[tokio::test(start_paused = true)]
async fn a_refused_lead_is_a_rejected_handoff_until_it_is_taken() {
    let (sandbox, engine) = begin(people(|text| text)).await;
    let person = contact(&sandbox, "ada@example.com", &[]);
    let blocked = crate::sandbox::salesforce::rules::ValidationRule {
        object: "Lead".into(),
        field: "Company".into(),
        forbidden: json!("Engines"),
        message: "no engines here".into(),
    };
    sandbox.world().salesforce.rules.validation.push(blocked);
    wait(30).await;
    round(&engine).await;
    let handoff = only(&engine).await;
    assert_eq!(handoff.state(), State::Rejected);
    assert!(handoff.why_ended().unwrap().contains("no engines here"));
    assert!(engine.journal.check().await.unwrap().is_sound());
    let now = sandbox.clock().now();
    let company = [("company", "Looms")];
    sandbox
        .world()
        .hubspot
        .edit_as_user(Object::Contact, person, &company, FIRST_USER, now)
        .unwrap();
    wait(60).await;
    round(&engine).await;
    let mappings = engine.mappings();
    let now = sandbox.clock().now();
    let desk = crate::daemon::query::Desk { journal: &engine.journal, mappings: &mappings, now };
    let again = crate::daemon::control::Request::RetryRejects { of: None };
    desk.answer(&again).await.unwrap().unwrap();
    for _ in 0..2 {
        wait(60).await;
        round(&engine).await;
    }
    let handoff = only(&engine).await;
    assert_eq!(handoff.state(), State::Assigned, "{handoff:#?}");
    assert!(engine.journal.link(handoff.id.link).await.unwrap().is_some());
    assert!(engine.journal.check().await.unwrap().is_sound());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_a_person_logged_in_hubspot_is_a_touch_where_the_mapping_says_so() {
    for hubspot in [true, false] {
        let text = format!("[handoff.touch]\nhubspot = {hubspot}\n");
        let (sandbox, engine) =
            begin(people(|it| it.replacen("[handoff.touch]\n", &text, 1))).await;
        let person = contact(&sandbox, "ada@example.com", &[]);
        wait(30).await;
        round(&engine).await;
        let user = sandbox.world().hubspot.owners()[0].clone();
        let log = |object, values: &[(&str, &str)]| {
            let now = sandbox.clock().now();
            let at = now.to_string();
            let mut all =
                vec![("hs_timestamp", at.as_str()), ("hubspot_owner_id", user.id.as_str())];
            all.extend_from_slice(values);
            let hubspot = &mut sandbox.world().hubspot;
            let id = hubspot.create_as_user(object, &all, user.user, now).unwrap();
            hubspot
                .associate_as_user((object, id), (Object::Contact, person), user.user, now)
                .unwrap();
            now
        };
        log(Object::Call, &[("hs_call_direction", "INBOUND"), ("hs_call_status", "COMPLETED")]);
        log(Object::Email, &[("hs_email_direction", "EMAIL"), ("hs_email_status", "BOUNCED")]);
        wait(120).await;
        round(&engine).await;
        assert_eq!(only(&engine).await.state(), State::Assigned);
        let called = log(Object::Call, &[("hs_call_direction", "OUTBOUND")]);
        wait(120).await;
        round(&engine).await;
        let handoff = only(&engine).await;
        if !hubspot {
            assert_eq!(handoff.state(), State::Assigned);
            continue;
        }
        assert_eq!(handoff.state(), State::Touched);
        let (at, method, by) = handoff.touched().unwrap();
        assert_eq!((method, by.unwrap().name.as_str()), (Touch::Call, user.email.as_str()));
        assert!(called.duration_since(at).abs().as_millis() < 1_000, "{at} {called}");
        // The listing overlaps: the same call is seen again, and nothing is new.
        wait(60).await;
        assert_eq!(engine.follow_handoffs().await.unwrap().news, 0);
        log(Object::Email, &[("hs_email_direction", "EMAIL"), ("hs_email_status", "SENT")]);
        wait(120).await;
        round(&engine).await;
        let touches = only(&engine).await;
        assert_eq!(touches.facts.of(FactKind::Touched).count(), 2);
        assert_eq!(touches.touched().unwrap().1, Touch::Call, "the first one counts");
    }
}

#[tokio::test(start_paused = true)]
async fn tasks_are_asked_for_while_somebody_is_on_the_way_and_little_else_is() {
    let (sandbox, engine) = begin(people(|text| text)).await;
    let asked = async |minutes: u64| {
        sandbox.world().calls.clear();
        for _ in 0..minutes * 4 {
            wait(15).await;
            engine.follow_due(Duration::from_secs(7)).await.unwrap();
        }
        let world = sandbox.world();
        world.calls.total(crate::sandbox::fault::Side::Salesforce)
    };
    // Twice in ten minutes for each of tasks and deals.
    assert!((2..=6).contains(&asked(10).await), "nobody is on the way");
    contact(&sandbox, "ada@example.com", &[]);
    for _ in 0..3 {
        wait(30).await;
        round(&engine).await;
    }
    assert!(!only(&engine).await.state().is_over());
    let calls = asked(10).await;
    assert!((40..=48).contains(&calls), "each round for tasks: {calls}");
}
