//! What is started and leaves nothing by which it could be found: never twice, and said where in doubt.

use super::next::{lines, previewed, qualified, with, without_task};
use super::*;
use crate::daemon::query::Desk;
use crate::handoff::stuck::Stuck;
use crate::handoff::{Progress, What};
use crate::mapping::handoff::NextStep;
use crate::sandbox::fault::Side as Platforms;
use crate::sandbox::salesforce::flows::{Deed, Flow, Run};
use crate::sandbox::salesforce::rules::ValidationRule;

const FLOW: &str = r#"
[handoff.flow]
name = "Lead_Handed_Off"

[handoff.flow.inputs]
recordId = "{{ ids.salesforce }}"
reason = "{{ handoff.reason }}"
person = "{{ ids.hubspot }}"
phone = "{{ phone }}"
urgent = true
"#;

/// The same for a flow that may run twice.
fn repeating() -> String {
    FLOW.replace("name = ", "repeat = true\nname = ")
}

/// The flow that these tests start.
fn declared(sandbox: &Sandbox) {
    let inputs = ["recordId", "reason", "person", "phone", "urgent"];
    let flow = Flow::taking(&inputs).setting("recordId", "Description", "reason");
    sandbox.world().salesforce.flows.insert("Lead_Handed_Off".to_owned(), flow);
}

/// A contact who has qualified and is in Salesforce, where the flow is.
async fn with_flow(mappings: Mappings) -> (Sandbox, Engine, u64) {
    let (sandbox, engine, person) = qualified(mappings).await;
    declared(&sandbox);
    (sandbox, engine, person)
}

fn runs(sandbox: &Sandbox) -> Vec<Run> {
    sandbox.world().salesforce.flows["Lead_Handed_Off"].runs.clone()
}

fn flow_of(handoff: &Handoff) -> Progress<'_> {
    handoff.step(NextStep::Flow)
}

fn failed(handoff: &Handoff) -> String {
    match flow_of(handoff) {
        Progress::Failed(reason) => reason.to_owned(),
        other => panic!("{other:?}"),
    }
}

/// Why the only handoff is stuck.
async fn stuck(engine: &Engine) -> Option<Stuck> {
    let mappings = engine.mappings();
    let desk = Desk { journal: &engine.journal, mappings: &mappings, now: engine.clock.now() };
    desk.handoffs(None, None).await.unwrap().first().and_then(|it| it.stuck)
}

#[tokio::test(start_paused = true)]
async fn a_flow_is_started_once_with_what_its_inputs_say() {
    let (sandbox, engine, person) = with_flow(with(FLOW)).await;
    let worked = engine.hand_off_all().await.unwrap();
    assert_eq!((worked.tasks, worked.next, worked.found), (1, 1, 0), "{worked:?}");
    let lead = lead(&sandbox);
    let ran = runs(&sandbox);
    assert_eq!(ran.len(), 1);
    assert_eq!(ran[0].user, sandbox.world().salesforce.staff.integration);
    // A blank is left out.
    let got = json!({"recordId": &*lead, "reason": "the score reached 50",
        "person": person.to_string(), "urgent": true});
    assert_eq!(Value::Object(ran[0].inputs.clone()), got);
    let set =
        sandbox.world().salesforce.record(&lead).unwrap().text("Description").map(str::to_owned);
    assert_eq!(set.as_deref(), Some("the score reached 50"));
    let handoff = only(&engine).await;
    assert!(matches!(flow_of(&handoff), Progress::Done(_)), "{handoff:#?}");
    assert!(lines(&handoff).contains("The Salesforce flow Lead_Handed_Off was started."));
    assert_eq!(stuck(&engine).await, None);
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
    assert_eq!(runs(&sandbox).len(), 1);
}

/// Whether it ran or not, the answer does not say.
const LOST: [(&str, usize); 8] = [
    ("timeout-after", 1),
    ("hang-after", 1),
    ("cut-after", 1),
    ("empty-body", 1),
    ("hang-before", 0),
    ("server-error", 0),
    ("html", 0),
    ("locked", 0),
];

#[tokio::test(start_paused = true)]
async fn a_flow_whose_answer_was_lost_is_not_repeated_and_a_person_is_asked() {
    for (fault, ran) in LOST {
        let (sandbox, engine, _) = with_flow(without_task(FLOW)).await;
        struck(&sandbox, fault, Platforms::Salesforce);
        let worked = engine.hand_off_due().await.unwrap();
        assert_eq!((worked.taken, worked.next), (1, 0), "{fault}");
        sandbox.world().faults.disarm_all();
        in_doubt(&sandbox, &engine, ran, fault).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_flow_that_was_on_its_way_when_the_program_ended_is_not_repeated() {
    for (fault, ran) in [("hang-after", 1), ("hang-before", 0)] {
        let (sandbox, engine, _) = with_flow(without_task(FLOW)).await;
        struck(&sandbox, fault, Platforms::Salesforce);
        let killed = tokio::time::timeout(Duration::from_secs(1), engine.hand_off_due());
        assert!(killed.await.is_err(), "{fault}");
        sandbox.world().faults.disarm_all();
        let handoff = only(&engine).await;
        assert!(matches!(flow_of(&handoff), Progress::Begun(_)), "{fault}");
        assert!(
            lines(&handoff).contains("Whether the Salesforce flow was started is not known yet.")
        );
        wait(60).await;
        round(&engine).await;
        in_doubt(&sandbox, &engine, ran, fault).await;
    }
}

/// It ran `ran` times and never again, and the handoff says what to do.
async fn in_doubt(sandbox: &Sandbox, engine: &Engine, ran: usize, fault: &str) {
    let lead = lead(sandbox);
    for _ in 0..3 {
        let handoff = only(engine).await;
        let reason = failed(&handoff);
        let doubt = format!("whether Lead_Handed_Off ran for Lead {lead} is not known (");
        assert!(reason.starts_with(&doubt), "{fault}: {reason}");
        for part in
            [&format!("/lightning/r/Lead/{lead}/view"), "start it by hand", "`repeat = true`"]
        {
            assert!(reason.contains(part), "{fault}: {part}: {reason}");
        }
        assert!(lines(&handoff).contains("The Salesforce flow was not carried through: whether"));
        assert_eq!(stuck(engine).await, Some(Stuck::NoStep), "{fault}");
        assert_eq!(runs(sandbox).len(), ran, "{fault}");
        wait(600).await;
        assert_eq!(round(engine).await.next, 0, "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flow_that_may_run_twice_is_started_again_where_it_is_in_doubt() {
    for (fault, ran) in LOST {
        for ends in [false, true] {
            if ends && !fault.starts_with("hang") {
                continue;
            }
            let (sandbox, engine, _) = with_flow(without_task(&repeating())).await;
            struck(&sandbox, fault, Platforms::Salesforce);
            if ends {
                let killed = tokio::time::timeout(Duration::from_secs(1), engine.hand_off_due());
                assert!(killed.await.is_err(), "{fault}");
            } else {
                engine.hand_off_due().await.unwrap();
            }
            sandbox.world().faults.disarm_all();
            assert_eq!(runs(&sandbox).len(), ran, "{fault}");
            wait(60).await;
            assert_eq!(round(&engine).await.next, 1, "{fault}");
            assert!(matches!(flow_of(&only(&engine).await), Progress::Done(_)), "{fault}");
            wait(600).await;
            round(&engine).await;
            assert_eq!(runs(&sandbox).len(), ran + 1, "{fault}");
        }
    }
}

/// For longer than one call is tried, the platform says "not now".
async fn unavailable(sandbox: &Sandbox, engine: &Engine) {
    let fault =
        sandbox.world().faults.arm("unavailable", Some(Platforms::Salesforce), Strike::Each(1.0));
    fault.unwrap();
    for _ in 0..3 {
        engine.hand_off_due().await.unwrap();
        wait(120).await;
    }
    sandbox.world().faults.disarm_all();
    let handoff = only(engine).await;
    assert_eq!(flow_of(&handoff), Progress::PutOff);
    assert_eq!(lines(&handoff).matches("The Salesforce flow waits").count(), 1);
    assert!(runs(sandbox).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_flow_that_was_put_off_for_certain_is_started_once_it_can_be() {
    let (sandbox, engine, _) = with_flow(without_task(FLOW)).await;
    unavailable(&sandbox, &engine).await;
    round(&engine).await;
    let handoff = only(&engine).await;
    assert!(matches!(flow_of(&handoff), Progress::Done(_)), "{handoff:#?}");
    assert_eq!(runs(&sandbox).len(), 1);
    // Begun, put off and begun again: the process ends, and it is in doubt.
    let (sandbox, engine, _) = with_flow(without_task(FLOW)).await;
    unavailable(&sandbox, &engine).await;
    struck(&sandbox, "hang-after", Platforms::Salesforce);
    let killed = tokio::time::timeout(Duration::from_secs(1), engine.hand_off_due());
    assert!(killed.await.is_err());
    sandbox.world().faults.disarm_all();
    wait(60).await;
    round(&engine).await;
    in_doubt(&sandbox, &engine, 1, "put off before").await;
}

#[tokio::test(start_paused = true)]
async fn a_handoff_that_ended_before_its_flow_says_so() {
    let (sandbox, engine, _) = with_flow(without_task(FLOW)).await;
    unavailable(&sandbox, &engine).await;
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
    assert_eq!(flow_of(&handoff), Progress::Failed("the handoff ended before it was started"));
    assert!(runs(&sandbox).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_refused_flow_says_why_and_what_to_do_and_keeps_nothing_back() {
    let note = "[handoff.hubspot_note]\n";
    for (does, active, code, next) in [
        (Deed::Fault, true, "Lead_Handed_Off: UNKNOWN_EXCEPTION: ", "Paused and Failed Flow Inter"),
        (
            Deed::Nothing,
            false,
            "Lead_Handed_Off: NOT_FOUND: ",
            "activate the flow, correct its API",
        ),
    ] {
        let (sandbox, engine, _) = with_flow(with(&format!("{FLOW}{note}"))).await;
        {
            let org = &mut sandbox.world().salesforce;
            let flow = org.flows.get_mut("Lead_Handed_Off").unwrap();
            (flow.does, flow.active) = (does, active);
        }
        let worked = engine.hand_off_all().await.unwrap();
        assert_eq!((worked.tasks, worked.next), (1, 1), "{worked:?}");
        let reason = failed(&only(&engine).await);
        assert!(reason.starts_with(code) && reason.contains(next), "{reason}");
        assert!(reason.contains(&format!(", for Lead {}", lead(&sandbox))), "{reason}");
        assert_eq!(stuck(&engine).await, Some(Stuck::NoStep));
        wait(3_600).await;
        assert_eq!(round(&engine).await.next, 0);
    }
}

/// A fault in the flow of one takes nothing from another.
#[tokio::test(start_paused = true)]
async fn each_handoff_has_a_call_of_its_own() {
    let by_email = FLOW.replace("{{ handoff.reason }}", "{{ email }}");
    let (sandbox, engine, _) = with_flow(without_task(&by_email)).await;
    let bad = ValidationRule {
        object: "Lead".to_owned(),
        field: "Description".to_owned(),
        forbidden: json!("bob@example.com"),
        message: "not Bob".to_owned(),
    };
    sandbox.world().salesforce.rules.validation.push(bad);
    for email in ["bob@example.com", "eve@example.com"] {
        contact(&sandbox, email, &[]);
    }
    wait(30).await;
    pass(&engine).await;
    engine.hand_off_all().await.unwrap();
    let all = all(&engine).await;
    let came: Vec<bool> =
        all.iter().map(|it| matches!(flow_of(&it.handoff), Progress::Done(_))).collect();
    assert_eq!((came.len(), came.iter().filter(|done| **done).count()), (3, 2), "{all:#?}");
    let begun = |it: &HandoffEntry| {
        it.handoff.facts.iter().filter(|it| matches!(it.what, What::StepBegun { .. })).count()
    };
    assert!(all.iter().all(|it| begun(it) == 1));
    assert_eq!(runs(&sandbox).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_preview_shows_what_a_flow_would_get() {
    let (sandbox, engine, person) = with_flow(without_task(FLOW)).await;
    let shown = previewed(&engine, person).await.unwrap();
    let lead = lead(&sandbox);
    assert_eq!(
        shown,
        format!(
            "start of the Salesforce flow Lead_Handed_Off (person \"{person}\", reason \"the score \
             reached 50\", recordId \"{lead}\", urgent true): -, due -"
        )
    );
}
