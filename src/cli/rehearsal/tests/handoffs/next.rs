//! What is made beside the Salesforce task: each once, whatever happens on the way.

use super::*;
use crate::daemon::handoff::Planned;
use crate::daemon::query::Desk;
use crate::handoff::Progress;
use crate::mapping::handoff::NextStep;
use crate::record::PerSide;
use crate::sandbox::fault::Side as Platforms;
use crate::sandbox::hubspot::owners::Owner;

/// The campaign that these tests have.
const CAMPAIGN: &str = "701000000000001AAA";

const TASK: &str =
    "[handoff.hubspot_task]\ntype = \"CALL\"\npriority = \"HIGH\"\nqueue = \"14512\"\n";
const NOTE: &str = "[handoff.hubspot_note]\ntext = \"Handed to <{{ owner }}>.\"\n";
const MEMBER: &str = "[handoff.campaign]\nid = \"701000000000001AAA\"\nstatus = \"Responded\"\n";

/// The shipped mapping with these blocks besides.
pub(super) fn with(blocks: &str) -> Mappings {
    people(|text| text.replacen("[handoff.calendar]", &format!("{blocks}\n[handoff.calendar]"), 1))
}

/// The same without the Salesforce task and what raises it.
pub(super) fn without_task(blocks: &str) -> Mappings {
    let cut = |text: String, from: &str, to: &str| {
        let (start, end) = (text.find(from).unwrap(), text.find(to).unwrap());
        format!("{}{}", &text[..start], &text[end..])
    };
    people(|text| {
        let text = cut(text, "[[handoff.escalate]]", "[handoff.touch]");
        let text = cut(text, "[handoff.task]", "[handoff.calendar]");
        text.replacen("[handoff.calendar]", &format!("{blocks}\n[handoff.calendar]"), 1)
    })
}

/// A contact who has qualified and is in Salesforce, and nothing done for them yet.
pub(super) async fn qualified(mappings: Mappings) -> (Sandbox, Engine, u64) {
    qualified_after(mappings, |_| ()).await
}

/// The same in an org in which something was set up before the service began.
pub(super) async fn qualified_after(
    mappings: Mappings,
    set_up: impl FnOnce(&Sandbox),
) -> (Sandbox, Engine, u64) {
    let (sandbox, engine) = start_on(mappings, Options::default());
    set_up(&sandbox);
    {
        // Amara is a user of both.
        let mut world = sandbox.world();
        let amara = world.salesforce.staff.sales[0].clone();
        let email = world.salesforce.record(&amara).unwrap().text("Email").unwrap().to_owned();
        world.salesforce.rules.lead_assignment = Some(amara);
        let now = sandbox.clock().now();
        let owner = Owner::person(301_009, 51_009, &email, ("Amara", "Nwosu"), now);
        world.hubspot.add_owner(owner);
    }
    engine.start().await.unwrap();
    round(&engine).await;
    let now = sandbox.clock().now();
    let campaign = json!({"Name": "Spring", "IsActive": true});
    sandbox.world().salesforce.seed(now, "Campaign", Some(CAMPAIGN.into()), campaign);
    let person = contact(&sandbox, "ada@example.com", &[]);
    wait(30).await;
    pass(&engine).await;
    (sandbox, engine, person)
}

/// The text of each activity of the contact's.
fn activities(sandbox: &Sandbox, person: u64, object: Object, body: &str) -> Vec<String> {
    let world = sandbox.world();
    let ids = world.hubspot.associated(Object::Contact, person, object);
    let text = |id: &u64| world.hubspot.value(object, *id, body).unwrap();
    assert_eq!(ids.len(), world.hubspot.all(object).count(), "one is about nobody");
    ids.iter().map(text).collect()
}

/// How many of each there are.
fn made(sandbox: &Sandbox, person: u64) -> (usize, usize, usize) {
    (
        activities(sandbox, person, Object::Task, "hs_task_body").len(),
        activities(sandbox, person, Object::Note, "hs_note_body").len(),
        sandbox.world().salesforce.records("CampaignMember").count(),
    )
}

pub(super) fn lines(handoff: &Handoff) -> String {
    let lines = story::story(handoff).into_iter().map(|line| line.text);
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test(start_paused = true)]
async fn every_next_step_is_made_once() {
    let (sandbox, engine, person) = qualified(with(&format!("{TASK}{NOTE}{MEMBER}"))).await;
    let worked = engine.hand_off_all().await.unwrap();
    assert_eq!((worked.tasks, worked.next, worked.found), (1, 3, 0), "{worked:?}");
    let handoff = only(&engine).await;
    let amara = handoff.owner().unwrap().name.clone();

    let Progress::Done(task) = handoff.step(NextStep::HubSpotTask) else { panic!("{handoff:#?}") };
    {
        let world = sandbox.world();
        let id = task.id.parse().unwrap();
        let value = |name| world.hubspot.value(Object::Task, id, name).unwrap();
        assert_eq!(value("hs_task_subject"), "Qualified: Ada King, Engines");
        assert_eq!(value("hs_task_priority"), "HIGH");
        assert_eq!(value("hs_task_type"), "CALL");
        assert_eq!(value("hs_task_status"), "NOT_STARTED");
        assert_eq!(value("hs_queue_membership_ids"), "14512");
        assert!(value("hs_timestamp").starts_with("2026-11-02T13:00"), "{}", value("hs_timestamp"));
        let owner = value("hubspot_owner_id");
        let owner = world.hubspot.owners().iter().find(|it| it.id == owner).unwrap();
        assert_eq!(owner.email.to_lowercase(), amara);
        let body = value("hs_task_body");
        assert!(body.starts_with("Ada King qualified because the score reached 50.<br>"), "{body}");
        assert!(body.ends_with(&format!(" {}]", handoff.id)), "{body}");
    }
    let notes = activities(&sandbox, person, Object::Note, "hs_note_body");
    assert!(notes[0].starts_with(&format!("Handed to &lt;{amara}&gt;.<br>")), "{notes:?}");
    {
        let world = sandbox.world();
        let member = world.salesforce.records("CampaignMember").next().unwrap();
        assert_eq!(member.text("CampaignId"), Some(CAMPAIGN));
        assert_eq!(member.text("Status"), Some("Responded"));
        assert_eq!(member.text("LeadId"), handoff.record().map(|record| record.id.as_str()));
    }
    let told = lines(&handoff);
    for line in ["The HubSpot task ", "The HubSpot note ", "The campaign membership "] {
        assert!(told.contains(line), "{told}");
    }

    // Nothing new, an edit, and the echoes of our own: nothing is made again.
    for _ in 0..3 {
        let now = sandbox.clock().now();
        let title = [("jobtitle", "Countess")];
        sandbox
            .world()
            .hubspot
            .edit_as_user(Object::Contact, person, &title, FIRST_USER, now)
            .unwrap();
        wait(120).await;
        round(&engine).await;
    }
    assert_eq!(made(&sandbox, person), (1, 1, 1));
}

/// The effect happens and the answer never comes, or the process ends before it does.
#[tokio::test(start_paused = true)]
async fn a_step_whose_answer_was_lost_is_found_and_not_repeated() {
    let cases = [
        (TASK, Platforms::HubSpot, NextStep::HubSpotTask, (1, 0, 0)),
        (NOTE, Platforms::HubSpot, NextStep::HubSpotNote, (0, 1, 0)),
        (MEMBER, Platforms::Salesforce, NextStep::Campaign, (0, 0, 1)),
    ];
    for (block, side, step, expected) in cases {
        for (fault, ends) in [
            ("timeout-after", false),
            ("hang-after", false),
            ("hang-after", true),
            ("cut-after", false),
            ("empty-body", false),
        ] {
            let own = block.replace("type =", "subject = \"Call\"\ntext = \"Now.\"\ntype =");
            let (sandbox, engine, person) = qualified(without_task(&own)).await;
            struck(&sandbox, fault, side);
            if ends {
                // The process is killed while the call is on its way.
                let killed = tokio::time::timeout(Duration::from_secs(1), engine.hand_off_due());
                assert!(killed.await.is_err(), "{step:?} {fault}");
            } else {
                let worked = engine.hand_off_due().await.unwrap();
                assert_eq!((worked.taken, worked.next), (1, 0), "{step:?} {fault}");
            }
            sandbox.world().faults.disarm_all();
            assert_eq!(made(&sandbox, person), expected, "{step:?} {fault}: it took effect");
            let handoff = only(&engine).await;
            assert!(matches!(handoff.step(step), Progress::Begun(_)), "{step:?} {fault}");
            assert!(lines(&handoff).contains("it is looked for"), "{step:?} {fault}");
            wait(60).await;
            let worked = round(&engine).await;
            assert_eq!((worked.next, worked.found), (0, 1), "{step:?} {fault}: {worked:?}");
            let handoff = only(&engine).await;
            assert!(matches!(handoff.step(step), Progress::Done(_)), "{step:?} {fault}");
            assert!(lines(&handoff).contains("was made."), "{step:?} {fault}");
            assert_eq!(made(&sandbox, person), expected, "{step:?} {fault}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_that_had_no_effect_is_made_once_it_can_be() {
    for (block, side, expected) in
        [(NOTE, Platforms::HubSpot, (0, 1, 0)), (MEMBER, Platforms::Salesforce, (0, 0, 1))]
    {
        for fault in ["unavailable", "html", "hang-before"] {
            let (sandbox, engine, person) = qualified(without_task(block)).await;
            struck(&sandbox, fault, side);
            engine.hand_off_due().await.unwrap();
            sandbox.world().faults.disarm_all();
            wait(60).await;
            round(&engine).await;
            assert_eq!(made(&sandbox, person), expected, "{fault}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_step_says_which_field_and_what_to_do_and_keeps_nothing_back() {
    let unknown = TASK.replace("14512", "99");
    let nowhere = MEMBER.replace("701000000000001", "701000000000002");
    let (sandbox, engine, person) = qualified(with(&format!("{unknown}{NOTE}{nowhere}"))).await;
    let worked = engine.hand_off_all().await.unwrap();
    assert_eq!((worked.tasks, worked.next), (1, 1), "{worked:?}");
    let handoff = only(&engine).await;
    let failed = |step| match handoff.step(step) {
        Progress::Failed(reason) => reason.to_owned(),
        other => panic!("{step:?}: {other:?}"),
    };
    let task = failed(NextStep::HubSpotTask);
    assert!(task.starts_with("INVALID_OPTION"), "{task}");
    assert!(task.contains("(in hs_queue_membership_ids), for contacts "), "{task}");
    let member = failed(NextStep::Campaign);
    assert!(member.contains("CampaignId") && member.contains(", for Lead 00Q"), "{member}");
    assert!(lines(&handoff).contains("The HubSpot task could not be made: INVALID_OPTION"));
    wait(3_600).await;
    assert_eq!(round(&engine).await.next, 0);
    assert_eq!(made(&sandbox, person), (0, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn whoever_is_a_member_already_stays_one() {
    let (sandbox, engine, person) = qualified(with(MEMBER)).await;
    let lead = lead(&sandbox);
    let now = sandbox.clock().now();
    let member = json!({"CampaignId": CAMPAIGN, "LeadId": &*lead, "Status": "Sent"});
    sandbox.world().salesforce.seed(now, "CampaignMember", None, member);
    wait(600).await;
    let worked = engine.hand_off_due().await.unwrap();
    assert_eq!((worked.tasks, worked.next), (1, 0), "{worked:?}");
    wait(60).await;
    assert_eq!(round(&engine).await.found, 1);
    let handoff = only(&engine).await;
    assert!(lines(&handoff).contains("was there already."), "{}", lines(&handoff));
    assert_eq!(made(&sandbox, person), (0, 0, 1));
    let world = sandbox.world();
    let member = world.salesforce.records("CampaignMember").next().unwrap();
    assert_eq!(member.text("Status"), Some("Sent"), "what marketing did is not undone");
}

#[tokio::test(start_paused = true)]
async fn a_handoff_that_ended_before_a_step_could_be_made_says_so() {
    let (sandbox, engine, person) = qualified(without_task(NOTE)).await;
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
    assert_eq!(
        handoff.step(NextStep::HubSpotNote),
        Progress::Failed("the handoff ended before it was")
    );
    assert_eq!(made(&sandbox, person), (0, 0, 0));
}

/// What `handoff preview` says of the record's handoff: each step in a line, its text left out.
pub(super) async fn previewed(engine: &Engine, of: u64) -> Result<String, String> {
    let mappings = engine.mappings();
    let desk = Desk { journal: &engine.journal, mappings: &mappings, now: engine.clock.now() };
    let preview = desk.handoff_preview(&of.to_string(), &PerSide::default()).await;
    let preview = preview.map_err(|refused| refused.message)?;
    let line = |step: &Planned| {
        let subject = step.subject.as_deref().unwrap_or("-");
        let due = step.due.map_or_else(|| "-".to_owned(), |due| due.to_string());
        format!("{} ({}): {subject}, due {due}", step.what, step.details.join(", "))
    };
    Ok(preview.steps.iter().map(line).collect::<Vec<_>>().join("\n"))
}

#[tokio::test(start_paused = true)]
async fn the_preview_shows_every_step_whichever_there_are() {
    let (_, engine, person) = qualified(with(&format!("{TASK}{NOTE}{MEMBER}"))).await;
    insta::assert_snapshot!(previewed(&engine, person).await.unwrap(), @r"
    Salesforce task (priority Normal): Qualified: Ada King, Engines, due 2026-11-02T13:00:00Z
    HubSpot task (priority HIGH, type CALL, queue 14512): Qualified: Ada King, Engines, due 2026-11-02T13:00:00Z
    HubSpot note (): -, due -
    membership of the Salesforce campaign 701000000000001AAA (status Responded): -, due -
    ");
    let own = format!("{TASK}subject = \"Call\"\ntext = \"They wait.\"\n");
    let (_, engine, person) = qualified(without_task(&own)).await;
    insta::assert_snapshot!(previewed(&engine, person).await.unwrap(), @"HubSpot task (priority HIGH, type CALL, queue 14512): Call, due 2026-11-02T13:00:00Z");
    let (_, engine, person) = qualified(without_task("")).await;
    insta::assert_snapshot!(previewed(&engine, person).await.unwrap_err(), @r#"the mapping "people" asks for no next step"#);
}
